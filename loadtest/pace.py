"""Pace: when each user is due, and how much of what was due was done.

Open loop: an operation is due at start + k periods, whatever became of those before. A user that
is late goes on at once until it has caught up, so that what is missing at the end is what the
target or the generator could not do.
"""

import time
from collections.abc import Callable

Clock = Callable[[], float]


class Pace:
    """When one user is due."""

    def __init__(self, tally: "Tally", per_second: float, offset: float = 0.0) -> None:
        """Begin now; `offset` is the part of a period by which the first operation is later."""
        self._tally = tally
        self._period = 1 / per_second
        self._began = self._next = tally.clock() + offset * self._period
        tally.begin(self)

    def wait_seconds(self, *, done: bool = True) -> float:
        """Count an operation, if it was done, and return how long it is until the next is due."""
        self._tally.done += done
        self._next += self._period
        return max(0.0, self._next - self._tally.clock())

    def due(self, now: float) -> float:
        """Return how many operations were due by now, in part."""
        return max(0.0, (now - self._began) / self._period)

    def end(self) -> None:
        """Have nothing due from now on."""
        self._tally.end(self)


class Tally:
    """What was due and done by all users of a process, at each moment."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self.clock = clock
        self.reset()

    def reset(self) -> None:
        """Begin a run: nothing was due."""
        self.done = 0.0
        self._ended_due = 0.0
        self._running: set[Pace] = set()

    @property
    def due(self) -> float:
        """How many operations were due by now."""
        now = self.clock()
        return self._ended_due + sum(pace.due(now) for pace in self._running)

    def count(self, *, due: float, done: float) -> None:
        """Count what has no pace, once it is over."""
        self._ended_due += due
        self.done += done

    def begin(self, pace: Pace) -> None:
        """Count a user's operations from now on."""
        self._running.add(pace)

    def end(self, pace: Pace) -> None:
        """Count them no more."""
        if pace in self._running:
            self._running.remove(pace)
            self._ended_due += pace.due(self.clock())


def rate_percent(due: float, done: float) -> float | None:
    """Return which part of what was due was done, None where nothing was."""
    return min(100.0, 100.0 * done / due) if due >= 1 else None
