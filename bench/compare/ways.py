"""What a sender is told of a way, and the lanes that this makes."""

import asyncio
from pathlib import Path

from msgspec import Struct

from bench.compare.corpus import DEVICES, Writing, addressed, device_name, publishing
from bench.compare.lanes import PACKET_IDS, ChannelLane, DatagramLane, Lane, MqttLane
from sensors.settings import SensorsSettings
from sensors.ways.kinds import WAYS
from sensors.ways.opening import channel_maker


class Mqtt(Struct, frozen=True, kw_only=True, tag=True):
    """A broker, the level, and each device's password; with `ca_file` over TLS."""

    host: str
    port: int
    qos: int
    passwords: dict[str, str]
    ca_file: str = ""


class Datagrams(Struct, frozen=True, kw_only=True, tag=True):
    """A port, or with `path` a socket file."""

    host: str = ""
    port: int = 0
    path: str = ""


class Channels(Struct, frozen=True, kw_only=True, tag=True):
    """The channels of the sensors, told by their own settings (`SENSORS_…`).

    `alone`: by how many channels payloads go when each travels by itself; 0 where none ever does.
    """

    settings: dict[str, str]
    alone: int = 0


Way = Mqtt | Datagrams | Channels


def writing(way: Way) -> Writing:
    """Return how payloads are written for a way."""
    return publishing(way.qos, PACKET_IDS) if isinstance(way, Mqtt) else addressed


async def open_lanes(way: Way, *, alone: bool) -> list[Lane]:
    """Return open lanes: one a device, or one for all; LaneLost where one cannot be had."""
    lanes = _lanes(way, alone=alone)
    await asyncio.gather(*(lane.open() for lane in lanes))
    return lanes


def _lanes(way: Way, *, alone: bool) -> list[Lane]:
    if isinstance(way, Datagrams):
        return [DatagramLane(Path(way.path) if way.path else (way.host, way.port))]
    if isinstance(way, Channels):
        settings = SensorsSettings.load(way.settings)
        make = channel_maker(settings)
        if alone and way.alone:
            return [ChannelLane(make(), alone=True) for _ in range(way.alone)]
        count = DEVICES if WAYS[settings.via].by_device else 1
        return [ChannelLane(make()) for _ in range(count)]
    names = [device_name(number) for number in range(DEVICES)]
    return [
        MqttLane(name, way.passwords[name], way.qos, way.host, way.port, way.ca_file)
        for name in names
    ]
