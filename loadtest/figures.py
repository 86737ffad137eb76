"""What a run tells of itself while it goes on, by the names that dashboards know."""

from collections.abc import Iterator
from typing import get_args

from loadtest.objectives import Operation, Users
from telemetry.metrics import Sample

MEASUREMENT = "denyut_loadtest"


def samples(users: int, whole: list[Operation], lately: list[Operation]) -> Iterator[Sample]:
    """Yield how much was done in the whole of a run, and how fast it was lately."""
    yield Sample("users", users, "Users that are at work.", kind="gauge")
    for kind in get_args(Users):
        labels = {"users": kind}
        done = [one for one in whole if one.users == kind]
        count = sum(one.requests for one in done)
        yield Sample("operations", count, "Operations that ended.", labels)
        failed = sum(one.failures for one in done)
        yield Sample("failed_operations", failed, "Of these, failed ones.", labels)
        times_ms = [one.p95_ms for one in lately if one.users == kind and one.p95_ms is not None]
        if times_ms:
            yield Sample("p95_ms", max(times_ms), "Of the slowest operation.", labels, "gauge")
