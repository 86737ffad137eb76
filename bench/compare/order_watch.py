"""An ingest that also counts readings that reach the store before an earlier one of their device.

What it counts is in the file that COMPARE_ORDER_FILE names.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ingest.__main__ import main
from telemetry.lineprotocol import parse_readings
from telemetry.store import Refused
from telemetry.store.sqlite import SQLiteStore

FILE = "COMPARE_ORDER_FILE"

_write_lines = SQLiteStore.write_lines
_last: dict[tuple[str, int | None], int] = {}
_early = 0


def write_watched(
    self: SQLiteStore, lines: Sequence[bytes], *, divisible: bool = False
) -> list[Refused]:
    """Count, and write as before."""
    global _early
    for reading in parse_readings(b"".join(line + b"\n" for line in lines).decode()):
        if reading.seq is not None:
            key = (reading.device, reading.boot_ms)
            _early += reading.seq < _last.get(key, 0)
            _last[key] = max(reading.seq, _last.get(key, 0))
    Path(os.environ[FILE]).write_text(str(_early), encoding="utf-8")
    return _write_lines(self, lines, divisible=divisible)


if __name__ == "__main__":
    SQLiteStore.write_lines = write_watched  # type: ignore[method-assign]
    main()
