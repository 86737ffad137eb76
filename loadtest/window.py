"""What Locust's statistics say of a run, or of a part of it: the difference of two moments."""

import time

from locust.stats import RequestStats, calculate_response_time_percentile
from msgspec import Struct

from loadtest.objectives import Operation, Users
from loadtest.rows import USERS


class Counts(Struct, frozen=True):
    """One row of the statistics at one moment; latencies by how often each was seen."""

    users: Users
    requests: int
    failures: int
    untimed: int
    times_ms: dict[int, int]


class Window:
    """From when it was made until it is asked."""

    def __init__(self, stats: RequestStats) -> None:
        self._stats = stats
        self._began_s = time.perf_counter()
        self._before = _counts(stats)

    @property
    def seconds(self) -> float:
        """How long it has been."""
        return time.perf_counter() - self._began_s

    def operations(self) -> list[Operation]:
        """Return what was done since."""
        return [
            _operation(name, self._before.get(name), now)
            for name, now in _counts(self._stats).items()
        ]


def operations(stats: RequestStats) -> list[Operation]:
    """Return what was done in the whole of a run."""
    return [_operation(name, None, now) for name, now in _counts(stats).items()]


def _counts(stats: RequestStats) -> dict[str, Counts]:
    return {
        entry.name: Counts(
            USERS[entry.method],
            entry.num_requests,
            entry.num_failures,
            entry.num_none_requests,
            dict(entry.response_times),
        )
        for entry in stats.entries.values()
    }


def _operation(name: str, before: Counts | None, now: Counts) -> Operation:
    before = before or Counts(now.users, 0, 0, 0, {})
    times_ms = {ms: count - before.times_ms.get(ms, 0) for ms, count in now.times_ms.items()}
    times_ms = {ms: count for ms, count in times_ms.items() if count > 0}
    requests = now.requests - before.requests
    timed = requests - (now.untimed - before.untimed)
    p50, p95, p99 = (
        calculate_response_time_percentile(times_ms, timed, share) if timed else None
        for share in (0.5, 0.95, 0.99)
    )
    return Operation(name, now.users, requests, now.failures - before.failures, p50, p95, p99)
