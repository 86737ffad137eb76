"""Payloads: how a reading is written, and several readings as one message."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sensors.habits import Habits, PayloadFormat, PayloadTemplate
from sensors.message import Message
from telemetry.lineprotocol import format_line
from telemetry.payload.native import encode_native
from telemetry.reading import Reading

Encode = Callable[[Reading], bytes]


def encoder(habits: Habits) -> Encode:
    """Return what writes the readings of a group."""
    if habits.format == "template":
        return _templated(PayloadTemplate(habits.template or ""))
    return _ENCODERS[habits.format]


class Packer:
    """Gathers the readings of one device, by measurement, into packs of native JSON."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._open: dict[str, list[Message]] = {}

    def add(self, message: Message) -> Message | None:
        """Take a reading; return a pack once it is full."""
        gathered = self._open.setdefault(message.measurement, [])
        gathered.append(message)
        if len(gathered) < self._size:
            return None
        del self._open[message.measurement]
        return packed(gathered)

    def rest(self) -> list[Message]:
        """Return what has not become a full pack, as smaller ones."""
        rest = [packed(gathered) for gathered in self._open.values()]
        self._open = {}
        return rest


def packed(messages: list[Message]) -> Message:
    """Return several readings as one message; it is due when the last of them is."""
    last = messages[-1]
    return msgspec.structs.replace(
        last,
        payload=b"[" + b",".join(message.payload for message in messages) + b"]",
        others=tuple(message.seq for message in messages[:-1]),
    )


def _flat(reading: Reading) -> bytes:
    head = {"ts": reading.time_ms, "boot": reading.boot_ms, "seq": reading.seq}
    return msgspec.json.encode({**head, **reading.values})


def _line(reading: Reading) -> bytes:
    # The store's lines have milliseconds, a payload's nanoseconds, as line protocol's default is.
    return f"{format_line(reading)}000000".encode()


def _templated(template: PayloadTemplate) -> Encode:
    return lambda reading: template.substitute(_words(reading)).encode()


def _words(reading: Reading) -> Mapping[str, Any]:
    values = {name: msgspec.json.encode(value).decode() for name, value in reading.values.items()}
    return {
        **values,
        "ts": reading.time_ms,
        "boot": reading.boot_ms,
        "seq": reading.seq,
        "site": reading.site,
        "device": reading.device,
        "measurement": reading.measurement,
    }


_ENCODERS: dict[PayloadFormat, Encode] = {
    "native": encode_native,
    "flat": _flat,
    "line": _line,
}
