"""The corpus: the same seeded readings for every way, and how each way writes them."""

import random
from collections.abc import Callable, Iterator

from msgspec import Struct

from stack.faults import packets

SITE, MEASUREMENT = "compare", "load"
DEVICES = 20
_VARIETY = 1_000  # so many different sets of values, taken in turn


class Parcel(Struct, frozen=True, gc=False):
    """A payload, whose readings of which device it holds: `count` of them from number `first`."""

    device: int
    first: int
    count: int
    payload: bytes


Writing = Callable[[int, bytes, int], bytes]
"""Makes a payload of a device's number, its readings as a JSON array, and the payload's number."""


def device_name(number: int) -> str:
    """Return the name of a device."""
    return f"load-{number:03}"


def addressed(device: int, readings: bytes, _number: int) -> bytes:
    """Write an addressed pack, as all ways without topics take it."""
    return b'{"site":"%b","device":"%b","measurement":"%b","readings":%b}' % (
        SITE.encode(),
        device_name(device).encode(),
        MEASUREMENT.encode(),
        readings,
    )


def publishing(qos: int, packet_ids: int) -> Writing:
    """Return what writes whole MQTT packets; the address is in the topic."""

    def write(device: int, readings: bytes, number: int) -> bytes:
        topic = f"telemetry/{SITE}/{device_name(device)}/{MEASUREMENT}"
        return packets.publish(topic, readings, qos, number % packet_ids + 1)

    return write


class Corpus:
    """Readings by device and number; a sending of them has a boot of its own."""

    def __init__(self, write: Writing, boot_ms: int) -> None:
        self._write = write
        self._boot_ms = boot_ms
        chance = random.Random(2026)  # noqa: S311
        self._values = [
            b'{"temperature":%.2f,"humidity":%.2f,"pressure":%.2f,"battery":%.3f}'
            % (
                chance.gauss(24, 4),
                chance.uniform(30, 95),
                chance.gauss(1013, 6),
                chance.uniform(3, 4),
            )
            for _ in range(_VARIETY)
        ]

    def parcel(self, device: int, first: int, count: int, time_ms: int, number: int) -> Parcel:
        """Return so many readings of a device as one payload; their times begin at `time_ms`."""
        readings = b",".join(
            b'{"ts":%d,"values":%b,"boot":%d,"seq":%d}'
            % (
                time_ms + place,
                self._values[(first + place) % _VARIETY],
                self._boot_ms,
                first + place,
            )
            for place in range(count)
        )
        return Parcel(device, first, count, self._write(device, b"[%b]" % readings, number))

    def beforehand(self, devices: int, readings: int, pack: int) -> Iterator[Parcel]:
        """Yield so many readings of each device in packs, by turns, with times of their own."""
        for number, first in enumerate(range(0, readings, pack)):
            count = min(pack, readings - first)
            for device in range(devices):
                yield self.parcel(device, first, count, self._boot_ms + first, number)
