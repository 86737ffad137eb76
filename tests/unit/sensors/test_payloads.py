"""Readings written in each format, and packs of them."""

import msgspec
import pytest

from sensors.fleet import Device
from sensors.habits import Habits
from sensors.message import Message
from sensors.payloads import Packer, encoder
from sensors.profiles import PROFILES
from sensors.source import ReadingSource
from telemetry.payload import decode
from telemetry.reading import Address, Reading
from tests.unit.sensors.test_source import BOOT_MS

READING = Reading(
    "home", "a", "m", BOOT_MS, {"heat": 21.5, "on": True, "state": 'it"s'}, BOOT_MS - 5, 7
)


@pytest.mark.parametrize("format", ["native", "flat", "line"])
def test_what_is_written_in_a_format_is_read_as_the_same_reading(format: str) -> None:
    payload = encoder(msgspec.convert({"format": format}, Habits))(READING)
    assert decode(payload, Address("home", "a", "m"), arrival_ms=0).readings == [READING]


def test_a_template_is_filled_with_values_as_json() -> None:
    habits = Habits(format="template", template="$ts;$device;${heat};$on;$state;$$$seq")
    assert encoder(habits)(READING) == f'{BOOT_MS};a;21.5;true;"it\\"s";$7'.encode()


def messages(habits: Habits, *, periods: int) -> list[Message]:
    device = Device("a", "home", PROFILES["weather-station"], 1, 1000, 0, habits)
    source = ReadingSource(device, seed=1, boot_ms=BOOT_MS)
    return [
        message for period in range(periods) for message in source.readings(BOOT_MS + period * 1000)
    ]


def test_a_pack_holds_so_many_readings_of_one_measurement_and_knows_their_numbers() -> None:
    packer = Packer(5)
    made = messages(Habits(), periods=22)
    packs = [pack for one in made if (pack := packer.add(one)) is not None]
    rest = packer.rest()
    assert [len(pack.others) for pack in packs] == [4, 4, 4, 4]
    assert sorted((pack.measurement, len(pack.others)) for pack in rest) == [
        ("station", 2), ("weather", 1),
    ]  # fmt: skip
    numbers = sorted(seq for pack in (*packs, *rest) for seq in (*pack.others, pack.seq))
    assert numbers == [message.seq for message in made]
    for pack in packs:
        decoded = decode(pack.payload, Address("home", "a", "weather"), arrival_ms=0).readings
        assert tuple(one.seq for one in decoded) == (*pack.others, pack.seq)
        assert decoded[-1].time_ms == pack.time_ms
    assert packer.rest() == []


def test_a_topic_of_ones_own_is_filled() -> None:
    habits = Habits(topic="acme/{device}/{measurement} site=home")
    assert messages(habits, periods=1)[0].topic == b"acme/a/weather"
