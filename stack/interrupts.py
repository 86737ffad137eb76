"""Signals that stop a stack in good order."""

import signal
from types import FrameType


def stop_by_signals() -> None:
    """Let SIGTERM and SIGHUP stop the parts as Ctrl-C does."""
    # SIGINT as well: a shell starts its background jobs with that one ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
