"""The profiles of the trades: their fields go together, and each has a unit."""

import statistics
from random import Random

import pytest

from sensors.profiles import PROFILES
from sensors.signals import number
from telemetry.reading import Value
from telemetry.units import UNITLESS, UNITS
from tests.unit.sensors.test_source import BOOT_MS, decoded, source_of

DAY_PERIODS = 1440


def day(profile: str, measurement: str, *, step_ms: int = 60_000) -> list[dict[str, Value]]:
    """A device's day, a reading a minute."""
    source = source_of(profile)
    return [
        decoded(message).values
        for period in range(DAY_PERIODS)
        for message in source.readings(BOOT_MS + period * step_ms)
        if message.measurement == measurement
    ]


def column(values: list[dict[str, Value]], name: str) -> list[float]:
    return [number(one, name) for one in values]


def test_there_is_a_profile_for_each_trade() -> None:
    assert set(PROFILES) >= {
        "weather-station", "smart-meter", "cold-chain", "vehicle", "machine-vibration", "building",
    }  # fmt: skip


@pytest.mark.parametrize("profile", PROFILES)
def test_every_field_of_a_profile_has_a_unit_or_is_known_to_have_none(profile: str) -> None:
    for measurement in PROFILES[profile].measurements:
        for name in measurement.fields(Random(1)):
            assert (name in UNITS) != (name in UNITLESS), name


def test_an_open_door_lets_the_air_warm_up_and_the_goods_hardly() -> None:
    values = day("cold-chain", "cargo")
    assert {one["door_open"] for one in values} == {True, False}
    assert all(one["door_open"] == (one["door"] == "open") for one in values)
    air, goods = column(values, "air_temperature"), column(values, "product_temperature")
    warm = [heat for heat, one in zip(air, values, strict=True) if one["door_open"]]
    cold = [heat for heat, one in zip(air, values, strict=True) if not one["door_open"]]
    assert statistics.mean(warm) > statistics.mean(cold) + 2
    assert statistics.stdev(goods) < statistics.stdev(air) / 2


def test_a_vehicles_odometer_is_the_integral_of_its_speed_and_its_way_is_as_long() -> None:
    values = day("vehicle", "vehicle", step_ms=5000)
    odometer, speed = column(values, "odometer"), column(values, "speed")
    driven = odometer[-1] - odometer[0]
    assert driven == pytest.approx(sum(speed[1:]) * 5 / 3600, abs=0.01)
    assert driven > 1
    assert all(number(one, "engine_speed") == 0 for one in values if one["ignition"] is False)
    assert len(set(column(values, "latitude"))) > 100


def test_a_worn_machine_shakes_more_in_every_axis_and_its_peaks_stand_out() -> None:
    devices = [
        next(decoded(one).values for one in source_of("machine-vibration", seed).readings(BOOT_MS))
        for seed in range(60)
    ]
    x, y = column(devices, "velocity_rms_x"), column(devices, "velocity_rms_y")
    assert statistics.correlation(x, y) > 0.8
    assert statistics.correlation(x, column(devices, "crest_factor")) > 0.8


def test_people_are_in_by_day_and_their_breath_follows_them() -> None:
    values = day("building", "room")
    people, air = column(values, "occupancy"), column(values, "co2")
    assert min(people) == 0 < max(people)
    assert statistics.correlation(people, air) > 0.6
    energy, power = column(values, "energy"), column(values, "power")
    assert energy[-1] - energy[0] == pytest.approx(sum(power[1:]) / 60, abs=0.01)
