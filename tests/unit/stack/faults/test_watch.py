"""What a watch makes of its looks at ingest."""

from collections import Counter
from pathlib import Path

import pytest

from stack.faults.latency import p99_ms
from stack.faults.watch import Moment, Watch, imbalance
from stack.services import Place, Service

BALANCED = {
    "received_readings": 10.0,
    "taken_over_readings": 2.0,
    "written_readings": 5.0,
    "quarantined_readings": 1.0,
    "spooled_readings": 3.0,
    "in_flight_readings": 2.0,
    "dropped_readings": 1.0,
}


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A watch that has not begun; a test gives it its looks."""
    place = Place("ingest-1", {}, tmp_path / "log", "127.0.0.1", 1)
    return Watch(Service(["ingest"], place))


def look(at: float, *, written: float | None = None, ready: bool = True) -> Moment:
    figures = None if written is None else {**BALANCED, "written_readings": written}
    return Moment(at, figures, ready, {}, 0)


def test_the_law_of_conservation_is_held_against_all_its_terms() -> None:
    assert imbalance(BALANCED) == 0
    for name in BALANCED:
        assert imbalance({**BALANCED, name: BALANCED[name] + 1}) != 0


def test_a_look_at_which_the_law_did_not_hold_is_found(watch: Watch) -> None:
    watch.moments = [look(1, written=5), look(2), look(3, written=4)]

    assert watch.imbalances == [1]


def test_a_rate_is_the_rise_over_a_stretch(watch: Watch) -> None:
    watch.moments = [look(at / 4, written=at * 100) for at in range(9)]

    assert watch.rates("written_readings", 0, 10, window_seconds=1) == [400, 400]
    assert watch.rates("written_readings", 1, 10, window_seconds=1) == [400]


def test_times_are_counted_from_the_moment_that_was_given(watch: Watch) -> None:
    watch.moments = [look(1, ready=False), look(5), look(7, ready=False)]

    assert watch.seconds_until(lambda moment: not moment.ready, after=4) == 3
    assert watch.seconds_until(lambda moment: not moment.ready, after=8) is None


def test_p99_is_that_of_what_came_in_between() -> None:
    before = Counter({1: 1000})
    after = Counter({1: 1000, 10: 99, 50: 1})

    assert p99_ms(before, after) == 10
    assert p99_ms(before, Counter({1: 1000, 10: 98, 50: 2})) == 50
