"""Holds a process to a share of one core, by halting it whenever it has had its part."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stack.process import Process

_PERIOD_SECONDS = 0.02
_MOST_SAVED_SECONDS = 0.1  # what other work kept it from it gets back


@contextmanager
def held_to(process: Process, share: float) -> Iterator[None]:
    """Let a process have this share of a core meanwhile; needs no rights but those over it."""
    stop = threading.Event()
    thread = threading.Thread(target=_hold, args=(process.pid, share, stop), name="governor")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _hold(pid: int, share: float, stop: threading.Event) -> None:
    last_s, last_used_s, saved_s = time.monotonic(), _used_seconds(pid), 0.0
    runs = True
    while not stop.wait(_PERIOD_SECONDS):
        now_s, used_s = time.monotonic(), _used_seconds(pid)
        saved_s += share * (now_s - last_s) - (used_s - last_used_s)
        saved_s = min(saved_s, _MOST_SAVED_SECONDS)
        last_s, last_used_s = now_s, used_s
        if (saved_s > 0) != runs:
            runs = saved_s > 0
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT if runs else signal.SIGSTOP)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def _used_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, to the nanosecond (proc(5), schedstat is a thread's)."""
    total = 0
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(FileNotFoundError), open(f"/proc/{pid}/task/{task}/schedstat") as file:  # noqa: PTH123
                total += int(file.read().split()[0])
    return total / 1e9
