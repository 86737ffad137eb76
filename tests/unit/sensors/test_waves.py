"""Waves, ramps and walks."""

import statistics
from datetime import UTC, datetime
from itertools import pairwise
from random import Random

import pytest

from sensors.signals import Constant, Moment
from sensors.waves import Product, Ramp, Sine, Walk, WeeklyCycle
from tests.unit.sensors.test_signals import numbers


def test_a_sine_has_its_mean_its_height_and_its_length() -> None:
    values = numbers(Sine(5.0, 2.0, period_s=60.0), 600, 1.0)
    assert statistics.mean(values) == pytest.approx(5.0)
    assert [min(values), max(values)] == pytest.approx([3.0, 7.0])
    assert values[60] == pytest.approx(values[0])


def test_a_ramp_goes_from_end_to_end_and_begins_again() -> None:
    assert numbers(Ramp(10.0, 20.0, period_s=10.0), 12, 1.0) == pytest.approx(
        [10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 10, 11]
    )
    falling = numbers(Ramp(98.0, 35.0, period_s=100.0), 100, 1.0)
    assert all(later < earlier for earlier, later in pairwise(falling))


def test_a_week_has_a_level_for_each_local_day() -> None:
    week = WeeklyCycle((1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), blend_hours=2, utc_offset_hours=7)
    monday_midnight_s = datetime(2026, 11, 22, 17, tzinfo=UTC).timestamp()

    def level(hours: float) -> float:
        return week.at(Moment(monday_midnight_s + hours * 3600, 0.0, {}))

    assert [level(24 * day + 12) for day in range(7)] == [1, 2, 3, 4, 5, 6, 7]
    assert level(0) == pytest.approx(7.0)
    assert level(1) == pytest.approx(4.0)


def test_a_walk_moves_by_its_steps_and_never_leaves_its_bounds() -> None:
    values = numbers(Walk(Random(1), 0.5, least=-2.0, most=3.0), 20_000, 1.0)
    steps = [later - earlier for earlier, later in pairwise(values)]
    assert statistics.stdev(steps) == pytest.approx(0.5, rel=0.15)
    assert -2.0 <= min(values) < -1.9
    assert 2.9 < max(values) <= 3.0


def test_a_product_multiplies() -> None:
    assert numbers(Product(Constant(3.0), Ramp(0.0, 10.0, period_s=10.0)), 3, 1.0) == [0, 3, 6]
