"""The devices: what the store has of them, joined with the states that they told the broker."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from api.quantities import Milliseconds, Rate, Time
from api.status_board import DeviceStatus, QosLevel
from api.times import rfc3339
from telemetry.store import Series

StateAnswer = Literal["online", "offline", "unknown"]


class Device(Struct, frozen=True):
    """One device as it is known; times in ms since the epoch."""

    device: str
    site: str
    status: DeviceStatus | None
    measurements: tuple[str, ...]
    last_ms: int | None

    @property
    def state(self) -> StateAnswer:
        """Its state; `unknown` where it never told one."""
        return self.status.state if self.status else "unknown"


class DeviceAnswer(Struct, frozen=True):
    """A device; `lag_ms` is the age of its last reading at the time of the answer.

    `rate` is in readings per second, over the last minute.
    """

    device: str
    site: str
    state: StateAnswer
    qos: QosLevel | None
    profile: str | None
    since: Time | None
    boot: Time | None
    measurements: tuple[str, ...]
    last_seen: Time | None
    lag_ms: Milliseconds | None
    rate: Rate


def roster(series: Iterable[Series], statuses: dict[str, DeviceStatus]) -> dict[str, Device]:
    """Return every device that has readings or a status, in order of names."""
    stored: dict[str, list[Series]] = {}
    for one in series:
        stored.setdefault(one.device, []).append(one)
    return {
        device: _device(device, stored.get(device, []), statuses.get(device))
        for device in sorted(stored.keys() | statuses.keys())
    }


def device_answer(device: Device, now_ms: int, rate: float) -> DeviceAnswer:
    """Return a device as it is answered."""
    status = device.status
    return DeviceAnswer(
        device=device.device,
        site=device.site,
        state=device.state,
        qos=status.qos if status else None,
        profile=status.profile if status else None,
        since=_time(status.since_ms) if status else None,
        boot=_time(status.boot_ms) if status else None,
        measurements=device.measurements,
        last_seen=_time(device.last_ms),
        lag_ms=None if device.last_ms is None else max(0, now_ms - device.last_ms),
        rate=rate,
    )


def _device(name: str, series: list[Series], status: DeviceStatus | None) -> Device:
    newest = max(series, key=lambda one: one.last_ms, default=None)
    site = newest.site if newest else status.site if status else ""
    measurements = tuple(sorted({one.measurement for one in series}))
    return Device(name, site, status, measurements, newest.last_ms if newest else None)


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)
