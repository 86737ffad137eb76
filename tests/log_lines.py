"""What is logged meanwhile, line by line, as a service would write it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from telemetry.log import Lines

Line = dict[str, Any]


class _Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[Line] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(Lines("test").line(record))


@contextmanager
def capture_logs() -> Iterator[list[Line]]:
    """Yield the lines of any level, those to come included."""
    kept, root = _Kept(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        yield kept.lines
    finally:
        root.removeHandler(kept)
        root.setLevel(level)
