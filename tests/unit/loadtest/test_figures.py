"""What a run tells of itself while it goes on."""

from loadtest.figures import samples
from loadtest.objectives import Operation
from telemetry.metrics import as_values


def test_each_kind_of_users_has_its_counts_and_the_p95_of_its_slowest_operation() -> None:
    whole = [
        Operation("latest", "readers", 90, 2, 3, 30, 50),
        Operation("range csv", "readers", 10, 1, 3, 30, 50),
        Operation("publish:qos1", "publishers", 5, 0, 3, 30, 50),
    ]
    lately = [
        Operation("latest", "readers", 9, 0, 3, 7, 9),
        Operation("range csv", "readers", 1, 0, 3, 12, 12),
        Operation("publish:qos1", "publishers", 0, 0, None, None, None),
    ]

    told = as_values(samples(17, whole, lately))

    assert told["users"] == 17
    assert (told["operations_readers"], told["failed_operations_readers"]) == (100, 3)
    assert told["p95_ms_readers"] == 12
    assert told["operations_publishers"] == 5
    assert "p95_ms_publishers" not in told
    assert told["operations_streams"] == 0
