"""A device's readings: seeded, stamped with their due times, numbered over all measurements."""

import msgspec
import pytest

from sensors.fleet import Device
from sensors.fleetfile import QoS
from sensors.message import Message
from sensors.profiles import PROFILES
from sensors.signals import number
from sensors.source import ReadingSource
from telemetry.payload import decode
from telemetry.reading import Address, Reading

BOOT_MS = 1_700_000_000_000
QOS: QoS = 1


def device(profile: str = "weather-station", name: str = "d-00000") -> Device:
    return Device(name, "home", PROFILES[profile], QOS, period_ms=1000, spread_ms=0)


def source_of(profile: str, seed: int = 1) -> ReadingSource:
    return ReadingSource(device(profile), seed=seed, boot_ms=BOOT_MS)


def make(
    profile: str = "weather-station", *, seed: int = 1, name: str = "d-00000", periods: int = 50
) -> list[Message]:
    source = ReadingSource(device(profile, name), seed=seed, boot_ms=BOOT_MS)
    return [
        message for period in range(periods) for message in source.readings(BOOT_MS + period * 1000)
    ]


def decoded(message: Message) -> Reading:
    address = Address("home", "d-00000", message.measurement)
    (reading,) = decode(message.payload, address, arrival_ms=0).readings
    return reading


@pytest.mark.parametrize("profile", PROFILES)
def test_one_seed_gives_the_same_readings_and_another_one_different_ones(profile: str) -> None:
    assert make(profile) == make(profile)
    payloads = [message.payload for message in make(profile)]
    assert payloads != [message.payload for message in make(profile, seed=2)]


def test_two_devices_of_a_fleet_read_differently() -> None:
    first, second = (
        [msgspec.json.decode(message.payload)["values"] for message in make(name=name)]
        for name in ("d-00000", "d-00001")
    )
    assert first != second


def test_sequence_numbers_run_over_all_measurements_from_zero() -> None:
    messages = make(periods=30)
    assert {message.measurement for message in messages} == {"weather", "station"}
    assert [message.seq for message in messages] == list(range(len(messages)))
    assert [decoded(message).seq for message in messages] == list(range(len(messages)))


def test_a_slower_measurement_is_made_at_each_so_many_th_period() -> None:
    station = [message for message in make(periods=30) if message.measurement == "station"]
    assert [message.time_ms - BOOT_MS for message in station] == [0, 10_000, 20_000]


def test_a_reading_is_stamped_with_the_time_at_which_it_was_due() -> None:
    for message in make(periods=3):
        assert message.time_ms == message.due_ms == decoded(message).time_ms
        assert decoded(message).boot_ms == BOOT_MS


def test_times_of_a_measurement_strictly_increase_even_if_due_times_do_not() -> None:
    source = ReadingSource(device("machine"), seed=1, boot_ms=BOOT_MS)
    dues = [BOOT_MS, BOOT_MS, BOOT_MS - 5000, BOOT_MS + 1, BOOT_MS + 10]
    times = [message.time_ms - BOOT_MS for due in dues for message in source.readings(due)]
    assert times == [0, 1, 2, 3, 10]


def test_topics_are_the_contracts() -> None:
    assert make(periods=1)[0].topic == b"telemetry/home/d-00000/weather"


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profiles_readings_are_valid_and_numbers_are_floats(profile: str) -> None:
    for message in make(profile, periods=2000):
        values = decoded(message).values
        assert all(isinstance(value, float | bool | str) for value in values.values())


def test_a_machine_tells_its_state_as_text_and_boolean() -> None:
    values = [decoded(message).values for message in make("machine", periods=3000)]
    assert {one["state"] for one in values} > {"running", "idle"}
    assert all(one["running"] == (one["state"] == "running") for one in values)


def test_the_dew_point_never_exceeds_the_temperature() -> None:
    for message in make(periods=500):
        if message.measurement == "weather":
            values = decoded(message).values
            assert number(values, "dew_point") <= number(values, "temperature") + 0.01


def test_energy_is_the_integral_of_power() -> None:
    values = [decoded(message).values for message in make("smart-meter", periods=600)]
    summed = sum(number(one, "power") for one in values[1:]) / 3600
    gained = number(values[-1], "energy") - number(values[0], "energy")
    assert gained == pytest.approx(summed, abs=1e-3)
