"""When devices are due: one heap for the whole fleet, in open loop.

A device is due at `start + spread + k * period` whatever became of its earlier readings: a slow
broker does not slow the fleet down, so that what is measured is not flattered.
"""

import heapq
import time
from collections.abc import Iterable
from random import Random

NS_PER_MS = 1_000_000
_MOST_LEFT_BEHIND = 1_000


class Clock:
    """Milliseconds since the epoch that never jump: the wall clock once, then the steady one."""

    def __init__(self) -> None:
        self._offset_ns = time.time_ns() - time.monotonic_ns()

    def now_ms(self) -> float:
        """Return the time in ms since the epoch."""
        return (time.monotonic_ns() + self._offset_ns) / NS_PER_MS


class Schedule:
    """The next due time of each device, devices being known by their place in the fleet.

    A device that is given another period leaves its old place in the heap behind, which is passed
    over: a fault may give all devices of a fleet another period at one moment.
    """

    def __init__(
        self,
        start_ms: int,
        spreads_and_periods_ms: Iterable[tuple[int, int]],
        jitters_ms: list[int] | None = None,
        seed: int = 0,
    ) -> None:
        self._jitters_ms = jitters_ms if jitters_ms and any(jitters_ms) else None
        self._later_ms = [0] * len(jitters_ms or ())
        self._random = Random(f"{seed}/jitter")  # noqa: S311  believable, not secret
        devices = list(spreads_and_periods_ms)
        self._periods_ms = [period_ms for _, period_ms in devices]
        self._due_ms = [start_ms + spread_ms for spread_ms, _ in devices]
        self._heap: list[tuple[int, int]] = []
        self._rebuild()

    @property
    def next_due_ms(self) -> int:
        """The earliest due time."""
        heap, due_ms = self._heap, self._due_ms
        while heap[0][0] != due_ms[heap[0][1]]:
            heapq.heappop(heap)
        return heap[0][0]

    def set_period(self, place: int, period_ms: int, now_ms: float) -> None:
        """Give a device another period, counted from when it was last due; no due time is past."""
        was_ms, due_ms = self._periods_ms[place], self._due_ms[place]
        self._periods_ms[place] = period_ms
        next_ms = max(due_ms - was_ms + period_ms, int(now_ms))
        if next_ms == due_ms:
            return
        self._due_ms[place] = next_ms
        heapq.heappush(self._heap, (next_ms, place))
        if len(self._heap) > _MOST_LEFT_BEHIND + 2 * len(self._due_ms):
            self._rebuild()

    def overdue(self, by_ms: float) -> int:
        """Return how many readings' times were due by then and have not been taken."""
        return sum(
            1 + int((by_ms - due_ms) // period_ms)
            for due_ms, period_ms in zip(self._due_ms, self._periods_ms, strict=True)
            if due_ms <= by_ms
        )

    def take(self, now_ms: float, most: int) -> list[tuple[int, int]]:
        """Return (device, due time in ms) of up to `most` that are due, the earliest first.

        Each of them is then due one period later; with jitter, by chance up to so much after that.
        """
        taken: list[tuple[int, int]] = []
        heap, all_due_ms = self._heap, self._due_ms
        while heap[0][0] <= now_ms and len(taken) < most:
            due_ms, place = heap[0]
            if due_ms != all_due_ms[place]:
                heapq.heappop(heap)
                continue
            next_ms = due_ms + self._periods_ms[place]
            if self._jitters_ms is not None:
                next_ms += self._moved_ms(place)
            all_due_ms[place] = next_ms
            heapq.heapreplace(heap, (next_ms, place))
            taken.append((place, due_ms))
        return taken

    def _rebuild(self) -> None:
        self._heap[:] = [(due_ms, place) for place, due_ms in enumerate(self._due_ms)]
        heapq.heapify(self._heap)

    def _moved_ms(self, place: int) -> int:
        """Return by how much a device's next due time moves against the one before it."""
        assert self._jitters_ms is not None
        was_ms = self._later_ms[place]
        self._later_ms[place] = self._random.randint(0, self._jitters_ms[place])
        return self._later_ms[place] - was_ms
