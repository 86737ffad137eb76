"""What a stream tells, as server-sent events (WHATWG HTML, 9.2): readings, states and words."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from api.readings import reading_answer
from api.roster import StateAnswer
from api.status_board import OWN_PREFIX, DeviceStatus, QosLevel
from api.times import rfc3339
from telemetry.reading import Reading
from telemetry.topics import OWN_SITE

Kinds = Literal["all", "readings", "status"]
EndReason = Literal["slow", "stopping", "key"]
GapReason = Literal["too_long_ago", "too_many"]

_encode = msgspec.json.Encoder().encode


class StatusEvent(Struct, frozen=True):
    """A device's state as it is now; `unknown` where it was taken out of service."""

    device: str
    site: str
    state: StateAnswer
    qos: QosLevel | None
    profile: str | None
    since: str | None
    boot: str | None


class FeedEvent(Struct, frozen=True):
    """Whether readings are heard from the broker now; those missed meanwhile follow later."""

    live: bool
    reason: str


class GapEvent(Struct, frozen=True):
    """A range of which not all readings were sent: ask `/v1/readings` for it."""

    start: str
    stop: str
    reason: GapReason


class EndEvent(Struct, frozen=True):
    """The last word of a stream, and why it ends."""

    reason: EndReason
    detail: str


class Wanted(Struct, frozen=True):
    """What a reader wants to hear of; None is any."""

    site: str | None = None
    device: str | None = None
    prefix: str | None = None
    measurement: str | None = None
    kinds: Kinds = "all"

    @property
    def readings(self) -> bool:
        """Whether readings are wanted at all."""
        return self.kinds != "status"

    @property
    def except_site(self) -> str | None:
        """The site that is left out unless it is named: our own services' figures."""
        is_named = self.site or self.device or (self.measurement or "").startswith(OWN_PREFIX)
        return None if is_named else OWN_SITE

    def takes(self, event: "Event") -> bool:
        """Whether an event is of what is wanted."""
        if event.measurement is None:
            if self.kinds == "readings":
                return False
        elif self.kinds == "status" or self.measurement not in (None, event.measurement):
            return False
        return (
            self.device in (None, event.device)
            and (event.site != self.except_site if self.site is None else event.site == self.site)
            and (self.prefix is None or event.device.startswith(self.prefix))
        )


class Event(Struct, frozen=True, gc=False):
    """An event as it is sent, and what it is of; `measurement` is None for a state."""

    site: str
    device: str
    measurement: str | None
    text: bytes


class Chunk(Struct, frozen=True):
    """Several events for one write, the last one apart: before it an id may stand."""

    head: bytes
    last: bytes
    count: int
    position_ms: int

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.head) + len(self.last)


def chunk(events: Sequence[Event], position_ms: int) -> Chunk:
    """Return one or more events as what is sent at once."""
    head = b"".join([event.text for event in events[:-1]])
    return Chunk(head, events[-1].text, len(events), position_ms)


def reading_event(reading: Reading) -> Event:
    """Return a reading's event."""
    text = event_text("reading", reading_answer(reading))
    return Event(reading.site, reading.device, reading.measurement, text)


def status_event(status: DeviceStatus, *, forgotten: bool = False) -> Event:
    """Return the event of a device's state."""
    told = StatusEvent(
        status.device,
        status.site,
        "unknown" if forgotten else status.state,
        status.qos,
        status.profile,
        _time(status.since_ms),
        _time(status.boot_ms),
    )
    return Event(status.site, status.device, None, event_text("status", told))


def event_text(kind: str, data: object) -> bytes:
    """Return an event's text; JSON has no line ends, so that its data is one line."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), _encode(data))


def id_line(position_ms: int) -> bytes:
    """Return the line that lets a reader go on from here."""
    return b"id: %d\n" % position_ms


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)
