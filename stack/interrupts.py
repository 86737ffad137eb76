"""A command line that signals stop in good order, and whose errors are one line."""

import signal
import sys
from collections.abc import Callable
from types import FrameType

from stack import StackError

INTERRUPTED = 130


def stop_by_signals() -> None:
    """Let SIGTERM and SIGHUP stop the parts as Ctrl-C does."""
    # SIGINT as well: a shell starts its background jobs with that one ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run_command(application: Callable[[], object], failed: int) -> None:
    """Run a command line; a StackError is printed and becomes this exit code."""
    stop_by_signals()
    try:
        application()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except StackError as error:
        print(error, file=sys.stderr)
        sys.exit(failed)
