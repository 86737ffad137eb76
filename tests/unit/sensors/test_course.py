"""The course of a run: stages bend time, evenly and without a gap, and both ways alike."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.course import Course, Stage

RAMP_HOLD_SPIKE_DOWN = [
    Stage(for_s=10, rate=2.0, ramp=True),
    Stage(for_s=10, rate=2.0),
    Stage(for_s=1, rate=10.0),
    Stage(for_s=10, rate=0.0, ramp=True),
]

stages = st.lists(
    st.builds(
        Stage,
        for_s=st.floats(0.1, 100),
        rate=st.one_of(st.just(0.0), st.floats(0.01, 20)),
        ramp=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


def test_without_stages_the_fleets_time_is_real_time() -> None:
    course = Course([])
    assert course.seconds is None
    assert course.fleet_ms(1234.5) == course.real_ms(1234.5) == 1234.5


def test_a_ramp_a_hold_a_spike_and_a_ramp_down_pass_as_much_time_as_their_areas() -> None:
    course = Course(RAMP_HOLD_SPIKE_DOWN)
    assert course.seconds == 31
    assert course.fleet_ms(10_000) == pytest.approx(10_000)
    assert course.fleet_ms(20_000) == pytest.approx(30_000)
    assert course.fleet_ms(21_000) == pytest.approx(40_000)
    assert course.fleet_ms(31_000) == pytest.approx(90_000)
    assert course.fleet_ms(99_000) == pytest.approx(90_000)
    assert [course.stage_at(ms) for ms in (0, 9_999, 10_000, 20_500, 30_999)] == [0, 0, 1, 2, 3]


@given(stages, st.floats(0, 1))
def test_real_time_can_be_told_from_the_fleets_time_again(
    staged: list[Stage], share: float
) -> None:
    course = Course(staged)
    assert course.seconds is not None
    real_ms = course.seconds * 1000 * share
    fleet_ms = course.fleet_ms(real_ms)
    back = course.real_ms(fleet_ms)
    # In a pause many real times are one of the fleet's.
    assert course.fleet_ms(back) == pytest.approx(fleet_ms, rel=1e-6, abs=1e-3)
    assert back <= real_ms + 1


@given(stages, st.lists(st.floats(0, 1), min_size=2, max_size=20))
def test_time_never_goes_back(staged: list[Stage], shares: list[float]) -> None:
    course = Course(staged)
    assert course.seconds is not None
    times = sorted(share * course.seconds * 1000 for share in shares)
    passed = [course.fleet_ms(one) for one in times]
    assert all(later >= earlier - 1e-6 for earlier, later in pairwise(passed))
