"""When to ask again: later each time, no two clients at once, until patience ends."""

import random
import time

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 15.0


class Patience:
    """The pauses between attempts of one question; without a limit it never ends."""

    def __init__(self, limit_seconds: float | None) -> None:
        self._end_s = None if limit_seconds is None else time.monotonic() + limit_seconds
        self._pause_seconds = _FIRST_PAUSE_SECONDS

    def pause_seconds(self, least_seconds: float = 0.0) -> float | None:
        """Return the next pause, at least so long; None where patience ends before it does."""
        pause = least_seconds + self._pause_seconds * random.uniform(0.5, 1.0)  # noqa: S311
        self._pause_seconds = min(2 * self._pause_seconds, _LONGEST_PAUSE_SECONDS)
        if self._end_s is not None and time.monotonic() + pause > self._end_s:
            return None
        return pause
