"""Readings that come again are known while they are among the last of their device."""

from hypothesis import example, given
from hypothesis import strategies as st

from ingest.seen import RecentlySeen, Seen
from ingest.series import AllSeries

WIDTH = 1_024


@given(st.lists(st.integers(0, 3_000) | st.integers(0, 2**63 - 1), max_size=60))
@example([0, WIDTH - 1, 0, 0])
@example([0, WIDTH, 0, 0])
@example([WIDTH, 0, 0])
def test_a_number_comes_again_if_it_came_and_is_not_too_far_behind_the_newest(
    numbers: list[int],
) -> None:
    seen, came = Seen(), set[int]()
    for number in numbers:
        newest = max(came, default=number)
        expected = number in came and newest - number < WIDTH
        assert seen.note(number) == expected
        came.add(number)


def test_each_boot_of_a_device_counts_for_itself_and_over_all_its_measurements() -> None:
    every = AllSeries()
    weather, power = every.of("s", "node-1", "weather"), every.of("s", "node-1", "power")

    assert [
        weather.seen(1).note(0),
        power.seen(1).note(0),
        power.seen(2).note(0),
        weather.seen(2).note(0),
    ] == [
        False,
        True,
        False,
        True,
    ]
    assert weather.seen(1).note(0)
    assert not every.of("s", "node-2", "weather").seen(1).note(0)


def test_boots_that_were_not_heard_of_for_long_are_forgotten() -> None:
    seen = RecentlySeen(most_boots=2)
    seen.of("a", 1).note(5)
    for device in "bcd":
        seen.of(device, 1)
    assert seen.of("a", 1).note(5)

    for device in "efghi":
        seen.of(device, 1)
    assert not seen.of("a", 1).note(5)
