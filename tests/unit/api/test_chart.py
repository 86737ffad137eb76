import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.chart import interval_ms, intervals

T0 = 1_700_000_000_000
MINUTE_MS, HOUR_MS = 60_000, 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    ("span_ms", "points", "expected"),
    [
        (HOUR_MS, 60, MINUTE_MS),
        (HOUR_MS, 100, MINUTE_MS),
        (HOUR_MS, 360, 10_000),
        (HOUR_MS, 300, 15_000),
        (6 * HOUR_MS, 300, 2 * MINUTE_MS),
        (DAY_MS, 300, 5 * MINUTE_MS),
        (7 * DAY_MS, 300, HOUR_MS),
        (31 * DAY_MS, 300, 3 * HOUR_MS),
        (3650 * DAY_MS, 100, 37 * DAY_MS),
        (1000, 500, 2),
        (1, 10, 1),
    ],
)
def test_an_interval_is_one_that_people_use(span_ms: int, points: int, expected: int) -> None:
    start_ms = T0 - T0 % DAY_MS
    assert interval_ms(start_ms, start_ms + span_ms, points, 10_000) == expected


@given(st.integers(0, 10**13), st.integers(1, 10 * 366 * DAY_MS), st.integers(1, 10_000))
def test_there_are_never_more_intervals_than_wanted_and_one(
    start_ms: int, span_ms: int, points: int
) -> None:
    every_ms = interval_ms(start_ms, start_ms + span_ms, points, 10_000)
    assert 1 <= intervals(start_ms, start_ms + span_ms, every_ms) <= min(points + 1, 10_000)
