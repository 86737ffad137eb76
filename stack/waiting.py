"""Waiting for a condition, by asking again until a deadline."""

import time
from collections.abc import Callable

POLL_SECONDS = 0.02


def holds_within(
    condition: Callable[[], object], deadline_seconds: float, poll_seconds: float = POLL_SECONDS
) -> bool:
    """Return whether the condition became true before the deadline; it is asked at least once."""
    deadline = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(poll_seconds)
    return True
