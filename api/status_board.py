"""The state of every device, as its retained status message last told it."""

import threading
from itertools import product
from typing import Annotated, Literal, Protocol, get_args

import msgspec
from msgspec import Meta, Struct

from telemetry.reading import EpochMs
from telemetry.topics import OWN_SITE, TopicError, checked_address

OWN_PREFIX = "denyut_"
"""How the measurements begin under which our own services report their figures."""

QosLevel = Literal[0, 1, 2]
State = Literal["online", "offline"]

_MAX_STATUS_BYTES = 4_096


class StatusMessage(Struct, frozen=True):
    """The payload of `status/{site}/{device}`, as far as the API reads it."""

    state: State
    qos: QosLevel | None = None
    boot: EpochMs | None = None
    profile: Annotated[str, Meta(max_length=64)] | None = None


class DeviceStatus(Struct, frozen=True):
    """A device's last known state.

    `since_ms` is when the API saw the state begin; a state that is older than the API's own
    connection began with the boot where the device is online, and at an unknown time otherwise.
    """

    site: str
    device: str
    state: State
    qos: QosLevel | None
    boot_ms: int | None
    profile: str | None
    since_ms: int | None


class Listener(Protocol):
    """Is told of each change of a device's state, and of devices that were taken out of service."""

    def __call__(self, status: DeviceStatus, *, forgotten: bool) -> None:
        """Take a device's status, the last one where it is forgotten."""


_decode = msgspec.json.Decoder(StatusMessage).decode


class StatusBoard:
    """The states of at most `max_devices` devices; safe to share between threads."""

    def __init__(self, max_devices: int) -> None:
        self.listener: Listener | None = None
        self.connected = False
        self.refused = 0
        self._trouble = "not connected yet"
        self._max_devices = max_devices
        self._lock = threading.Lock()
        self._statuses: dict[str, DeviceStatus] = {}

    def check(self) -> str | None:
        """Return what is wrong with the link to the broker, or None."""
        return None if self.connected else self._trouble

    def link_up(self) -> None:
        """Note that states arrive."""
        self.connected = True

    def link_down(self, trouble: str) -> None:
        """Note that no states arrive, and why; those known are kept."""
        self._trouble = trouble
        self.connected = False

    def take(self, topic: str, payload: bytes, *, retained: bool, now_ms: int) -> None:
        """Take a status message; one that cannot be read is counted in `refused` and passed over.

        An empty payload forgets the device: it was taken out of service.
        """
        _, site, device = topic.split("/", 2)
        if site == OWN_SITE:
            return
        try:
            checked_address(site, device, "status")
            message = _decode(payload[:_MAX_STATUS_BYTES]) if payload else None
        except (TopicError, msgspec.DecodeError):
            self.refused += 1
            return
        with self._lock:
            before = self._statuses.get(device)
            self._set(site, device, message, retained=retained, now_ms=now_ms)
            after = self._statuses.get(device)
        if self.listener is not None and after != before:
            told = after or before
            if told is not None:
                self.listener(told, forgotten=after is None)

    def _set(
        self, site: str, device: str, message: StatusMessage | None, *, retained: bool, now_ms: int
    ) -> None:
        before = self._statuses.get(device)
        if message is None:
            self._statuses.pop(device, None)
        elif before is None and len(self._statuses) >= self._max_devices:
            self.refused += 1
        else:
            message = _completed(message, before)
            since_ms = _since(before, message, retained=retained, now_ms=now_ms)
            self._statuses[device] = DeviceStatus(
                site,
                device,
                message.state,
                message.qos,
                message.boot,
                message.profile,
                since_ms,
            )

    def get(self, device: str) -> DeviceStatus | None:
        """Return a device's status, or None where it never told one."""
        return self._statuses.get(device)

    def all(self) -> dict[str, DeviceStatus]:
        """Return a copy of all statuses by device."""
        with self._lock:
            return dict(self._statuses)

    def counts(self) -> dict[tuple[State, str], int]:
        """Return how many devices are in each state at each level, `unknown` where none is told.

        Every state stands at every level, so that a count that becomes none is seen to do so.
        """
        levels = [str(qos) for qos in get_args(QosLevel)]
        found = dict.fromkeys(product(get_args(State), levels), 0)
        for status in self.all().values():
            place = (status.state, "unknown" if status.qos is None else str(status.qos))
            found[place] = found.get(place, 0) + 1
        return found

    def __len__(self) -> int:
        return len(self._statuses)


def _completed(message: StatusMessage, before: DeviceStatus | None) -> StatusMessage:
    """Add what a last will may leave out and the device itself told before."""
    if before is None:
        return message
    return StatusMessage(
        message.state,
        before.qos if message.qos is None else message.qos,
        before.boot_ms if message.boot is None else message.boot,
        before.profile if message.profile is None else message.profile,
    )


def _since(
    before: DeviceStatus | None, message: StatusMessage, *, retained: bool, now_ms: int
) -> int | None:
    if before and (before.state, before.boot_ms) == (message.state, message.boot):
        return before.since_ms
    if not retained:
        return now_ms
    return message.boot if message.state == "online" else None
