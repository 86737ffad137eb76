"""When users are due, and what is said of what was not done."""

import pytest

from loadtest.pace import Pace, Tally, rate_percent


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Time:
    return Time()


def test_a_user_that_is_in_time_waits_for_the_rest_of_its_period(clock: Time) -> None:
    pace = Pace(Tally(clock), per_second=2)
    clock.now += 0.2

    assert pace.wait_seconds() == pytest.approx(0.3)


def test_a_user_that_is_late_goes_on_at_once_until_it_has_caught_up(clock: Time) -> None:
    pace = Pace(Tally(clock), per_second=2)
    clock.now += 1.2

    assert [pace.wait_seconds(), pace.wait_seconds()] == [0.0, 0.0]
    assert pace.wait_seconds() == pytest.approx(0.3)


def test_what_a_slow_target_kept_users_from_is_missing_in_the_rate(clock: Time) -> None:
    tally = Tally(clock)
    slow, quick = Pace(tally, per_second=10), Pace(tally, per_second=10)
    for _ in range(10):
        clock.now += 1
        slow.wait_seconds()
        for _ in range(10):
            quick.wait_seconds()

    assert tally.due == pytest.approx(200)
    assert rate_percent(tally.due, tally.done) == pytest.approx(55)


def test_nothing_is_due_of_a_user_that_has_ended(clock: Time) -> None:
    tally = Tally(clock)
    pace = Pace(tally, per_second=10)
    clock.now += 3
    pace.end()
    pace.end()
    clock.now += 60

    assert tally.due == pytest.approx(30)


def test_of_nothing_there_is_no_rate() -> None:
    assert rate_percent(0.0, 0) is None
    assert rate_percent(10.0, 11) == 100.0


def test_what_has_no_pace_counts_when_it_is_over(clock: Time) -> None:
    tally = Tally(clock)
    Pace(tally, per_second=10).end()
    tally.count(due=60, done=45)

    assert rate_percent(tally.due, tally.done) == pytest.approx(75)


def test_a_run_has_nothing_of_the_one_before(clock: Time) -> None:
    tally = Tally(clock)
    Pace(tally, per_second=10)
    tally.count(due=60, done=45)
    tally.reset()

    assert (tally.due, tally.done) == (0, 0)
