"""Due times: start + spread + k * period, whatever happened before."""

import time

from sensors.schedule import Clock, Schedule


def test_devices_are_due_at_start_plus_spread_plus_periods() -> None:
    schedule = Schedule(1000, [(0, 100), (30, 100), (10, 250)])
    assert schedule.next_due_ms == 1000
    assert schedule.take(1300, 100) == [
        (0, 1000), (2, 1010), (1, 1030), (0, 1100), (1, 1130),
        (0, 1200), (1, 1230), (2, 1260), (0, 1300),
    ]  # fmt: skip
    assert schedule.next_due_ms == 1330


def test_nothing_is_taken_before_it_is_due() -> None:
    schedule = Schedule(1000, [(0, 100)])
    assert schedule.take(999.9, 100) == []
    assert schedule.take(1000.0, 100) == [(0, 1000)]


def test_a_late_look_takes_all_that_was_due_none_is_skipped() -> None:
    schedule = Schedule(0, [(0, 10)])
    taken = [due for _ in range(10) for _, due in schedule.take(1000, 7)]
    assert taken == [index * 10 for index in range(70)]


def test_a_new_period_counts_from_the_last_due_time_and_makes_up_for_nothing() -> None:
    schedule = Schedule(0, [(0, 1000), (5, 400)])
    assert schedule.take(0, 10) == [(0, 0)]
    schedule.set_period(0, 100, now_ms=350.5)
    assert schedule.take(500, 10) == [(1, 5), (0, 350), (1, 405), (0, 450)]
    schedule.set_period(0, 3_600_000, now_ms=500)
    assert [due for place, due in schedule.take(3_601_000, 20_000) if place == 0] == [3_600_450]


def test_a_device_is_due_once_however_often_its_period_changes() -> None:
    schedule = Schedule(0, [(0, 100), (50, 100)])
    assert schedule.take(0, 10) == [(0, 0)]
    for period_ms in (300, 100, 200, 100):
        schedule.set_period(0, period_ms, now_ms=10)
    assert schedule.next_due_ms == 50
    assert schedule.take(260, 10) == [(1, 50), (0, 100), (1, 150), (0, 200), (1, 250)]
    assert schedule.overdue(460) == 4


def test_ten_thousand_devices_may_all_get_another_period_at_one_moment() -> None:
    devices = 10_000
    schedule = Schedule(0, [(place % 1000, 1000) for place in range(devices)])
    began_s = time.process_time()
    for period_ms in (2000, 1000, 4000, 500):
        for place in range(devices):
            schedule.set_period(place, period_ms, now_ms=0)
    assert time.process_time() - began_s < 2.0
    assert len(schedule.take(499, 2 * devices)) == devices


def test_jitter_moves_a_due_time_later_by_less_than_its_bound_and_never_adds_up() -> None:
    schedule = Schedule(0, [(0, 100), (50, 100)], [40, 0], seed=1)
    taken = schedule.take(100_000, 10_000)
    moved = [due % 100 for place, due in taken if place == 0]
    assert {due % 100 for place, due in taken if place == 1} == {50}
    assert (min(moved), max(moved)) == (0, 40)
    assert len(moved) == 1000
    again = Schedule(0, [(0, 100), (50, 100)], [40, 0], seed=1)
    assert again.take(100_000, 10_000) == taken


def test_the_clock_does_not_go_back() -> None:
    clock = Clock()
    times = [clock.now_ms() for _ in range(1000)]
    assert times == sorted(times)
