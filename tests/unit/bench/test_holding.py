"""The readings that the API's answers are measured on."""

from collections.abc import Sequence
from typing import cast

from bench import holding
from telemetry.lineprotocol import parse_readings
from telemetry.reading import Reading
from telemetry.store import Refused, Store

STOP_MS = 1_700_000_000_000


class Noting:
    """Takes the place of a store that is only written to."""

    def __init__(self) -> None:
        self.requests: list[list[Reading]] = []

    def write_lines(self, lines: Sequence[bytes], *, divisible: bool = False) -> list[Refused]:
        del divisible
        self.requests.append(parse_readings(b"\n".join([*lines, b""]).decode()))
        return []


def test_what_is_added_lies_before_what_is_stored_and_is_written_in_order_of_time() -> None:
    store = Noting()

    holding._fill(cast("Store", store), STOP_MS, 0, 50_000)
    first = [one for request in store.requests for one in request]
    store.requests.clear()
    holding._fill(cast("Store", store), STOP_MS, 50_000, 90_000)
    second = [one for request in store.requests for one in request]

    assert [len(first), len(second)] == [50_000, 40_000]
    assert len({(one.device, one.time_ms) for one in first + second}) == 90_000
    for several in (first, second):
        times_ms = [one.time_ms for one in several]
        assert times_ms == sorted(times_ms)
    assert max(one.time_ms for one in second) < min(one.time_ms for one in first)
    assert max(one.time_ms for one in first) == STOP_MS - 10_000
