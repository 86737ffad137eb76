"""Server-sent events: bytes become lines, lines events, events typed ones (WHATWG HTML, 9.2)."""

from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from telemetry.client.answers import Reading, State
from telemetry.client.errors import NotUnderstood

MOST_EVENT_BYTES = 2**20


class Status(Struct, frozen=True):
    """A device's state as it is now; `unknown` where it was taken out of service."""

    device: str
    site: str
    state: State
    qos: int | None
    profile: str | None
    since: datetime | None
    boot: datetime | None


class Feed(Struct, frozen=True):
    """Whether readings are heard live now; those missed meanwhile follow later."""

    live: bool
    reason: str


class Gap(Struct, frozen=True):
    """A range of which not all readings were sent: ask `readings()` for it."""

    start: datetime
    stop: datetime
    reason: str


class End(Struct, frozen=True):
    """The last word of a stream, and why it ends."""

    reason: str
    detail: str


Event = Reading | Status | Feed | Gap
Kinds = Literal["all", "readings", "status"]

_DECODERS: dict[str, msgspec.json.Decoder[Event | End]] = {
    "reading": msgspec.json.Decoder(Reading),
    "status": msgspec.json.Decoder(Status),
    "feed": msgspec.json.Decoder(Feed),
    "gap": msgspec.json.Decoder(Gap),
    "end": msgspec.json.Decoder(End),
}


class Told(Struct, frozen=True):
    """What an event says, and the last id until then; None is a word that nothing was missed."""

    event: Event | End | None
    last_id: str | None


class EventReader:
    """Reads the events of one stream out of its bytes, however these are cut."""

    def __init__(self, last_id: str | None) -> None:
        self.retry_seconds: float | None = None
        self._last_id = last_id
        self._rest = b""
        self._kind = ""
        self._data: list[str] = []

    def read(self, part: bytes) -> list[Told]:
        """Return the events that a further part of the stream makes whole."""
        *lines, self._rest = (self._rest + part).split(b"\n")
        found: list[Told] = []
        for line in lines:
            if line.strip():
                self._take(line.decode("utf-8", "replace").rstrip("\r"))
            else:
                found.append(self._told())
        if len(self._rest) + sum(map(len, self._data)) > MOST_EVENT_BYTES:
            raise NotUnderstood(f"an event of more than {MOST_EVENT_BYTES} bytes")
        return found

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._last_id = value or None
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_seconds = int(value) / 1_000

    def _told(self) -> Told:
        kind, data = self._kind, "\n".join(self._data)
        self._kind, self._data = "", []
        decoder = _DECODERS.get(kind)
        if not data or decoder is None:  # a newer API may tell of more
            return Told(None, self._last_id)
        try:
            return Told(decoder.decode(data), self._last_id)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotUnderstood(f"an event {kind!r} that is none: {error}") from error
