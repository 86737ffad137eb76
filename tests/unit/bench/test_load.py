"""What the load generator encodes: readings of devices in turn, in packets of our own contract."""

from itertools import chain, pairwise

import msgspec
import pytest

from bench.load import Load, encode
from stack.faults import packets
from telemetry.payload import decode
from telemetry.reading import Reading
from telemetry.topics import READINGS, TopicTemplate

BEGIN_MS = 1_700_000_000_000
TEMPLATE = TopicTemplate.parse(READINGS)


def load(**asked: object) -> Load:
    told = {"host": "-", "port": 1, "password": "-", "qos": 1, "begin_at_ms": BEGIN_MS}
    return msgspec.convert({**told, **asked}, Load)


def readings(packet: bytes) -> list[Reading]:
    body = packets.body_of(packet)
    end = 2 + int.from_bytes(body[:2], "big")
    address = TEMPLATE.match(body[2:end].decode())
    assert address is not None
    return decode(body[end + 3 :], address, arrival_ms=BEGIN_MS).readings


@pytest.mark.parametrize("pack", [1, 5])
def test_each_device_has_its_readings_in_a_row_with_rising_times(pack: int) -> None:
    by_device: dict[str, list[Reading]] = {}
    for packet in chain(*encode(load(readings=400, devices=40, pack=pack, connections=4))):
        for reading in readings(packet):
            by_device.setdefault(reading.device, []).append(reading)

    assert len(by_device) == 40
    for found in by_device.values():
        assert [one.seq for one in found] == list(range(10))
        assert all(one.time_ms < later.time_ms for one, later in pairwise(found))


def test_at_a_rate_a_reading_is_stamped_with_when_it_is_due() -> None:
    encoded = encode(load(readings=100, devices=10, connections=1, readings_per_second=1_000))

    assert [readings(packet)[0].time_ms - BEGIN_MS for packet in encoded[0]] == list(range(100))


def test_a_reading_of_four_fields_is_about_108_bytes() -> None:
    (packet,) = encode(load(readings=1, devices=1, connections=1))[0]
    topic = len("telemetry/bench/node-00000/load")

    assert 104 <= len(packets.body_of(packet)) - topic - 5 <= 112
