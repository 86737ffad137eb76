"""Waiting for what must come true, by polling with a deadline."""

import asyncio
import time
from collections.abc import Callable

_POLL_SECONDS = 0.01
_STILL_SECONDS = 0.1

STALL_SECONDS = 3.0
"""For how long a process may stand still on a machine that is busy with other tests."""


def eventually(
    condition: Callable[[], object], *, deadline_seconds: float = 10.0, what: str = "the condition"
) -> None:
    """Return once the condition holds; fail when it does not by the deadline."""
    end = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {deadline_seconds} s"
        time.sleep(_POLL_SECONDS)


async def passing(seconds: float) -> float:
    """Let time pass; return for how long of it this process stood still."""
    stood_still_seconds, now_s = 0.0, time.monotonic()
    end_s = now_s + seconds
    while now_s < end_s:
        due_s = now_s + _POLL_SECONDS
        await asyncio.sleep(_POLL_SECONDS)
        now_s = time.monotonic()
        if now_s - due_s > _STILL_SECONDS:
            stood_still_seconds += now_s - due_s
    return stood_still_seconds


async def eventually_async(
    condition: Callable[[], object], *, deadline_seconds: float = 10.0, what: str = "the condition"
) -> None:
    """Like `eventually`, letting the event loop work meanwhile."""
    end = time.monotonic() + deadline_seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not come true in {deadline_seconds} s"
        await asyncio.sleep(_POLL_SECONDS)
