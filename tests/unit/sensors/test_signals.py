"""Signals: what fields do over time."""

import statistics
from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest

from sensors.signals import (
    HOUR_SECONDS,
    ByState,
    Constant,
    DailyCycle,
    Derived,
    Drift,
    Integral,
    Lagging,
    Moment,
    Noise,
    Sensor,
    Signal,
    States,
    Wander,
    dew_point,
)
from telemetry.reading import Value


def over(signal: Signal, count: int, step_s: float, start_s: float = 0.0) -> Iterator[Value]:
    for index in range(count):
        yield signal.at(Moment(start_s + index * step_s, step_s if index else 0.0, {}))


def numbers(signal: Signal, count: int, step_s: float) -> list[float]:
    return [value for value in over(signal, count, step_s) if isinstance(value, float)]


def test_a_daily_cycle_is_highest_at_its_peak_hour_of_local_time() -> None:
    cycle = DailyCycle(20.0, 5.0, peak_hour=14, utc_offset_hours=7)
    hours = numbers(cycle, 24, HOUR_SECONDS)
    assert hours.index(max(hours)) == 14 - 7
    assert max(hours) == pytest.approx(25.0)
    assert min(hours) == pytest.approx(15.0)


def test_noise_has_its_deviation_and_no_memory() -> None:
    values = numbers(Noise(Random(1), 2.0), 5000, 1.0)
    assert statistics.stdev(values) == pytest.approx(2.0, rel=0.05)
    assert abs(statistics.correlation(values[:-1], values[1:])) < 0.05


@pytest.mark.parametrize("step_s", [10.0, 100.0])
def test_wander_has_its_deviation_and_memory_at_any_distance_of_readings(step_s: float) -> None:
    values = numbers(Wander(Random(1), 2.0, memory_s=100.0), 20_000, step_s)
    assert statistics.stdev(values) == pytest.approx(2.0, rel=0.1)
    kept = 2.718281828 ** (-step_s / 100.0)
    assert statistics.correlation(values[:-1], values[1:]) == pytest.approx(kept, abs=0.05)


def test_drift_builds_up_over_days() -> None:
    assert numbers(Drift(0.5), 5, 86_400.0) == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_lagging_comes_closer_to_its_source() -> None:
    jump = ByState("state", {"off": Constant(0.0), "on": Constant(100.0)})
    lagging = Lagging(jump, lag_s=10.0)
    assert lagging.at(Moment(0, 0, {"state": "off"})) == 0.0
    assert lagging.at(Moment(10, 10, {"state": "on"})) == pytest.approx(63.2, abs=0.1)
    assert lagging.at(Moment(60, 50, {"state": "on"})) == pytest.approx(99.75, abs=0.1)


def test_a_sensor_sums_clips_and_rounds() -> None:
    assert Sensor(Constant(1.0), Constant(0.236), least=0, most=10).at(Moment(0, 0, {})) == 1.24
    assert Sensor(Constant(11.0), least=0, most=10).at(Moment(0, 0, {})) == 10.0
    clipped = Sensor(Constant(-1.0), least=0, most=10).at(Moment(0, 0, {}))
    assert isinstance(clipped, float)


def test_an_integral_of_power_is_energy_and_never_goes_back() -> None:
    energy = Integral(of="power", start=100.0)
    assert energy.at(Moment(0, 0, {"power": 2.0})) == 100.0
    assert energy.at(Moment(1800, 1800, {"power": 2.0})) == 101.0
    assert energy.at(Moment(3600, 1800, {"power": 0.0})) == 101.0


def test_states_change_by_chance_and_follow_the_map() -> None:
    states = States(
        Random(3), {"a": 10.0, "b": 10.0, "c": 1.0}, {"a": ("b",), "b": ("c",), "c": ("a",)}
    )
    seen = list(over(states, 2000, 1.0))
    changes = {(old, new) for old, new in pairwise(seen) if old != new}
    assert changes == {("a", "b"), ("b", "c"), ("c", "a")}
    assert seen.count("a") > 5 * seen.count("c")


def test_a_derived_field_sees_the_earlier_fields() -> None:
    double = Derived(lambda values: float(values["x"]) * 2)
    assert double.at(Moment(0, 0, {"x": 4.0})) == 8.0


@pytest.mark.parametrize(
    ("temperature", "humidity", "expected"),
    [(25.0, 100.0, 25.0), (25.0, 50.0, 13.9), (10, 70, 4.8)],
)
def test_the_dew_point_is_that_of_the_tables(
    temperature: float, humidity: float, expected: float
) -> None:
    assert dew_point(temperature, humidity) == pytest.approx(expected, abs=0.1)
