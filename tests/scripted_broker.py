"""A broker of raw bytes, for what a healthy broker never does and to see each packet that leaves.

It accepts one client at a time, answers CONNECT, SUBSCRIBE and UNSUBSCRIBE as Mosquitto would, and
otherwise says only what a test tells it to. What it answers, and whether, a test may change.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
PUBREC, PUBREL, PUBCOMP = 0x50, 0x62, 0x70
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 0x82, 0x90, 0xA2, 0xB0
PINGREQ, PINGRESP, DISCONNECT = 0xC0, 0xD0, 0xE0

CONTENT_TYPE, SESSION_EXPIRY, SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM = 0x03, 0x11, 0x13, 0x21
TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, USER_PROPERTY = 0x22, 0x23, 0x26

_TWO_BYTES = (SERVER_KEEP_ALIVE, RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS)


class Packet(NamedTuple):
    """A packet that a client sent: its type with flags, and what follows the fixed header."""

    kind: int
    body: bytes
    at_s: float = 0.0

    @property
    def packet_id(self) -> int:
        return int.from_bytes(self.body[:2], "big")

    @property
    def filters(self) -> dict[str, int]:
        """The filters of a SUBSCRIBE with their options, or of an UNSUBSCRIBE with 0."""
        found, rest = {}, self.body[3 + self.body[2] :]
        while rest:
            end = 2 + int.from_bytes(rest[:2], "big")
            options = rest[end : end + 1] if self.kind == SUBSCRIBE else b""
            found[rest[2:end].decode()] = options[0] if options else 0
            rest = rest[end + len(options) :]
        return found

    @property
    def connect_flags(self) -> int:
        return self.body[7]

    @property
    def connect_properties(self) -> dict[int, int]:
        """The properties of a CONNECT, all of which are numbers here."""
        return _numbers(self.body[11 : 11 + self.body[10]])

    @property
    def disconnect_properties(self) -> dict[int, int]:
        return _numbers(self.body[2 : 2 + self.body[1]]) if len(self.body) > 1 else {}


def packet(kind: int, body: bytes) -> bytes:
    """Encode a packet with its remaining length."""
    return bytes((kind,)) + _variable(len(body)) + body


def publish(
    topic: str | bytes,
    payload: bytes,
    *,
    qos: int,
    packet_id: int = 0,
    dup: bool = False,
    properties: bytes = b"",
) -> bytes:
    """Encode an MQTT 5 PUBLISH."""
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    head = PUBLISH | qos << 1 | (8 if dup else 0)
    rest = identifier + _variable(len(properties)) + properties + payload
    return packet(head, text(topic) + rest)


def text(words: str | bytes) -> bytes:
    """Encode a text with its length."""
    encoded = words.encode() if isinstance(words, str) else words
    return len(encoded).to_bytes(2, "big") + encoded


def number_property(identifier: int, value: int) -> bytes:
    """Encode a property that is a number."""
    size = 2 if identifier in _TWO_BYTES else 4
    return bytes((identifier,)) + value.to_bytes(size, "big")


class ScriptedBroker:
    """The server's side of one connection after another; `seen` holds what the clients sent.

    `connack`, `subscribed` and `greeting` say how a client is answered: CONNACK's reason code, the
    reason code by filter (2 otherwise), and what comes right behind CONNACK, as out of a session.
    """

    def __init__(self) -> None:
        self.port = 0
        self.session_present = False
        self.connack = 0
        self.connack_properties = b""
        self.subscribed: dict[str, int] = {}
        self.greeting = b""
        self.answers: set[int] = {CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ}
        self.connects = 0
        self.ended = 0
        self.seen: list[Packet] = []
        self._writer: asyncio.StreamWriter | None = None

    def send(self, data: bytes) -> None:
        """Send raw bytes to the client that is connected."""
        assert self._writer is not None
        self._writer.write(data)

    async def send_sliced(self, data: bytes, *, pause_seconds: float = 0.0) -> None:
        """Send bytes one by one, each in a segment of its own."""
        assert self._writer is not None
        for start in range(len(data)):
            self._writer.write(data[start : start + 1])
            await asyncio.sleep(pause_seconds)

    def disconnect(self, reason: int) -> None:
        """Say DISCONNECT with a reason; the connection stays open unless the client closes it."""
        self.send(packet(DISCONNECT, bytes((reason, 0))))

    def cut(self) -> None:
        """Break the connection without a word."""
        assert self._writer is not None
        self._writer.transport.abort()

    def kinds(self, *wanted: int) -> list[Packet]:
        """Return the packets of these kinds that were seen, in order."""
        return [one for one in self.seen if one.kind in wanted]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it goes."""
        self._writer = writer
        try:
            while True:
                received = await _read_packet(reader)
                self.seen.append(received)
                if received.kind in self.answers:
                    self._answer(received, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.ended += 1
            writer.close()

    def _answer(self, received: Packet, writer: asyncio.StreamWriter) -> None:
        if received.kind == CONNECT:
            self.connects += 1
            properties = _variable(len(self.connack_properties)) + self.connack_properties
            answer = bytes((self.session_present and not self.connack, self.connack)) + properties
            writer.write(packet(CONNACK, answer) + (b"" if self.connack else self.greeting))
        elif received.kind == SUBSCRIBE:
            codes = bytes(self.subscribed.get(one, 2) for one in received.filters)
            writer.write(packet(SUBACK, received.body[:2] + b"\0" + codes))
        elif received.kind == UNSUBSCRIBE:
            codes = bytes(len(received.filters))
            writer.write(packet(UNSUBACK, received.body[:2] + b"\0" + codes))
        elif received.kind == PINGREQ:
            writer.write(packet(PINGRESP, b""))


def _variable(length: int) -> bytes:
    digits = bytearray()
    while True:
        length, digit = divmod(length, 128)
        digits.append(digit | (128 if length else 0))
        if not length:
            return bytes(digits)


def _numbers(properties: bytes) -> dict[int, int]:
    found = {}
    while properties:
        end = 3 if properties[0] in _TWO_BYTES else 5
        found[properties[0]] = int.from_bytes(properties[1:end], "big")
        properties = properties[end:]
    return found


async def _read_packet(reader: asyncio.StreamReader) -> Packet:
    kind = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 127) << shift
        shift += 7
        if not digit & 128:
            return Packet(kind, await reader.readexactly(length), time.monotonic())


@asynccontextmanager
async def scripted_broker(tls: ssl.SSLContext | None = None) -> AsyncIterator[ScriptedBroker]:
    """Serve a scripted broker on a free port of loopback, over TLS where a context is given."""
    broker = ScriptedBroker()
    server = await asyncio.start_server(broker.handle, "127.0.0.1", 0, ssl=tls)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        if broker._writer is not None:
            broker._writer.transport.abort()
        await server.wait_closed()
