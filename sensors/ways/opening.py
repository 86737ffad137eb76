"""Chooses the way that a run's readings take; settings and fleet have been checked before.

What a way needs is imported where it is taken: a process of devices stays small.
"""

from collections.abc import Callable

from sensors.counters import Counters
from sensors.fleet import Fleet
from sensors.settings import SensorsSettings
from sensors.uplink import Way
from sensors.ways.kinds import WAYS, WayName
from sensors.ways.way import DeviceChannels, MakeChannel, ProcessChannel
from telemetry.rarelog import RareLog
from telemetry.settings import SettingError


def open_way(fleet: Fleet, settings: SensorsSettings, counters: Counters, log: RareLog) -> Way:
    """Return a process's way, with nothing open yet; raises FleetError and SettingError."""
    if settings.via == "mqtt":
        from sensors.ways.mqtt.way import MqttWay

        return MqttWay(fleet, settings)
    if settings.via in ("udp", "unixgram"):
        from sensors.ways.datagrams import DatagramWay

        return DatagramWay(settings, counters, log)
    make = channel_maker(settings)
    if WAYS[settings.via].by_device:
        return DeviceChannels(make, settings)
    return ProcessChannel(make, settings, counters, log)


def channel_maker(settings: SensorsSettings) -> MakeChannel:
    """Return what makes the channels of a way that has any."""
    return _CHANNELS[settings.via](settings)


def _tcp(settings: SensorsSettings) -> MakeChannel:
    from sensors.ways.streams import tcp_channel

    return tcp_channel(settings)


def _unix(settings: SensorsSettings) -> MakeChannel:
    from sensors.ways.streams import unix_channel

    return unix_channel(settings)


def _folder(settings: SensorsSettings) -> MakeChannel:
    from sensors.ways.folder import folder_channel

    return folder_channel(settings)


def _database(settings: SensorsSettings) -> MakeChannel:
    try:
        from sensors.ways.database import database_channel
    except ImportError as error:
        raise SettingError(f"--via database needs denyut[database]: {error}") from error
    return database_channel(settings)


def _http(settings: SensorsSettings) -> MakeChannel:
    from sensors.ways.http import http_channel

    return http_channel(settings)


_CHANNELS: dict[WayName, Callable[[SensorsSettings], MakeChannel]] = {
    "tcp": _tcp,
    "unix": _unix,
    "folder": _folder,
    "database": _database,
    "http": _http,
}
