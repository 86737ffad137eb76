"""What a fleet file only names: certificates and credentials, read when a run begins."""

from collections.abc import Callable
from pathlib import Path

from sensors.fleet import Fleet
from sensors.fleetfile import FleetError
from sensors.habits import Habits
from sensors.uplink import Sender
from sensors.ways.mqtt.manner import USUAL, Manner, expiring
from telemetry.credentials import device_password
from telemetry.settings import SettingError
from telemetry.tls import client_context

_LARGEST_FILE_BYTES = 50_000_000


def manners(fleet: Fleet) -> Callable[[Sender], Manner]:
    """Return what gives each sender's manner, made once a group."""
    made: dict[int, Manner] = {}
    for device in fleet.devices:
        if id(device.habits) not in made:
            made[id(device.habits)] = _manner(device.habits)
    return lambda sender: made.get(id(sender.habits), USUAL)


def _manner(habits: Habits) -> Manner:
    try:
        tls = None if habits.tls is None else client_context(habits.tls)
    except SettingError as error:
        raise FleetError(f"groups.tls: {error}") from error
    return Manner(
        habits.retain,
        expiring(habits.expiry_seconds),
        habits.keepalive_seconds,
        habits.port,
        tls,
    )


def passwords(fleet: Fleet, fleet_key: str) -> Callable[[Sender], str]:
    """Return what gives each sender's password: out of its group's file, or derived."""
    named = {device.habits.credentials for device in fleet.devices} - {None}
    files = {name: _read(Path(name)) for name in named if name is not None}
    for device in fleet.devices:
        name = device.habits.credentials
        if name is not None and device.name not in files[name]:
            raise FleetError(f"{name}: has no line for {device.name}")

    def password(sender: Sender) -> str:
        if sender.habits.credentials is None:
            return device_password(fleet_key, sender.name)
        return files[sender.habits.credentials][sender.name]

    return password


def _read(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > _LARGEST_FILE_BYTES:
            raise FleetError(f"{path}: larger than {_LARGEST_FILE_BYTES} bytes")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FleetError(f"{path}: {reason}") from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, colon, password = line.partition(":")
        if line and not (name and colon and password):
            # Without the line itself: it may hold a password.
            raise FleetError(f"{path}:{number}: not a line name:password")
        if line:
            found[name] = password
    return found
