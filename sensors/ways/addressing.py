"""Payloads that carry their own address, for all ways without topics."""

import msgspec

from sensors.message import Message
from sensors.uplink import Sender


class Addressing:
    """Writes a sender's address into its payloads.

    Native readings become an addressed pack, `{"site": …, "device": …, "measurement": …,
    "readings": […]}`: its beginning is written once a measurement. Line protocol has it already.
    """

    __slots__ = ("_beginnings", "_sender")

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._beginnings: dict[str, bytes] = {}

    def addressed(self, message: Message) -> bytes:
        """Return the payload of a message with its address."""
        payload = message.payload
        if self._sender.habits.format == "line":
            return payload
        beginning = self._beginnings.get(message.measurement)
        if beginning is None:
            beginning = self._beginnings[message.measurement] = self._beginning(message.measurement)
        if payload.startswith(b"["):
            return b"%b%b}" % (beginning, payload)
        return b"%b[%b]}" % (beginning, payload)

    def _beginning(self, measurement: str) -> bytes:
        sender = self._sender
        names = {"site": sender.site, "device": sender.name, "measurement": measurement}
        return msgspec.json.encode(names)[:-1] + b',"readings":'
