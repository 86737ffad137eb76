"""Before anything opens: can a fleet take a way, and do the settings say where that leads."""

import os
from collections.abc import Iterator

from sensors.fleet import Device, Fleet
from sensors.fleetfile import FleetError
from sensors.habits import PLAIN
from sensors.settings import SensorsSettings
from sensors.ways.kinds import WAYS, WayKind, WayName
from telemetry.settings import SettingError, declarations

_ADDRESSED_FORMATS = ("native", "line")
_DECLARED = {one.name: one for one in declarations(SensorsSettings)}
_SOCKETS = ("broker_socket", "unix_socket", "unixgram_socket")
_LONGEST_PATH_BYTES = 107  # what struct sockaddr_un has room for
_MQTT_ALONE = (
    "topic",
    "retain",
    "expiry_seconds",
    "keepalive_seconds",
    "port",
    "tls",
    "credentials",
)


def check_settings(settings: SensorsSettings) -> None:
    """Raise SettingError where the way lacks an address or a key, or the address is none."""
    for name in WAYS[settings.via].needs:
        if not getattr(settings, name):
            one = _DECLARED[name]
            by_file = f" (or {one.variable}_FILE)" if one.is_secret else ""
            raise SettingError(
                f"{one.variable}{by_file} is not set: {one.help}; SENSORS_VIA={settings.via!r} "
                "needs it"
            )
    for name in _SOCKETS:
        path = getattr(settings, name) or ""
        if len(os.fsencode(path)) > _LONGEST_PATH_BYTES:
            raise SettingError(
                f"{_DECLARED[name].variable}={path!r}: a path of at most {_LONGEST_PATH_BYTES} "
                "bytes is allowed for a socket"
            )
    if settings.broker_socket and settings.tls_ca_file:
        raise SettingError(
            f"SENSORS_BROKER_SOCKET={settings.broker_socket!r}: no TLS is spoken at a socket; "
            "allowed is one without SENSORS_TLS_CA_FILE"
        )


def check_fleet(fleet: Fleet, via: WayName) -> None:
    """Raise FleetError where a group of the fleet asks for what the way cannot do."""
    if via == "mqtt":
        return
    said: dict[str, None] = {}
    groups: dict[tuple[int, int], Device] = {}
    for device in fleet.devices:
        groups.setdefault((id(device.habits), device.qos), device)
    for device in groups.values():
        said |= dict.fromkeys(_mistakes(device, via, WAYS[via]))
    if said:
        raise FleetError("\n".join(said))


def _mistakes(device: Device, via: WayName, kind: WayKind) -> Iterator[str]:
    habits = device.habits
    if device.qos and not kind.acknowledges:
        yield (
            f"{device.name}: qos {device.qos} needs an answer, and --via {via} gives none; "
            "allowed is 0 (--qos 0)"
        )
    if habits.format not in _ADDRESSED_FORMATS:
        yield (
            f"{device.name}: a payload of the format {habits.format} cannot carry its address, "
            f"which --via {via} needs; allowed are {' and '.join(_ADDRESSED_FORMATS)}"
        )
    for key in _MQTT_ALONE:
        if getattr(habits, key) != getattr(PLAIN, key):
            yield f"{device.name}: {key} means MQTT alone, and not --via {via}"
    for plan in habits.faults:
        if plan.breaks_connection and not kind.by_device:
            yield (
                f"{device.name}: the fault {plan.__struct_config__.tag} breaks a device's "
                f"connection, and with --via {via} none has one of its own"
            )
