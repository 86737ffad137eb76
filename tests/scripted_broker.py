"""A broker of raw bytes, for what a healthy broker never does and to see each packet that leaves.

It accepts one client at a time, answers CONNECT and SUBSCRIBE as Mosquitto would, and otherwise
says only what a test tells it to.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
PUBREC, PUBREL, PUBCOMP = 0x50, 0x62, 0x70
SUBSCRIBE, SUBACK, PINGREQ, PINGRESP, DISCONNECT = 0x82, 0x90, 0xC0, 0xD0, 0xE0


class Packet(NamedTuple):
    """A packet that a client sent: its type with flags, and what follows the fixed header."""

    kind: int
    body: bytes

    @property
    def packet_id(self) -> int:
        return int.from_bytes(self.body[:2], "big")


def packet(kind: int, body: bytes) -> bytes:
    """Encode a packet with its remaining length."""
    length, remaining = bytearray(), len(body)
    while True:
        remaining, digit = divmod(remaining, 128)
        length.append(digit | (128 if remaining else 0))
        if not remaining:
            return bytes((kind,)) + bytes(length) + body


def publish(
    topic: str | bytes, payload: bytes, *, qos: int, packet_id: int = 0, dup: bool = False
) -> bytes:
    """Encode an MQTT 5 PUBLISH without properties."""
    name = topic.encode() if isinstance(topic, str) else topic
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    head = PUBLISH | qos << 1 | (8 if dup else 0)
    return packet(head, len(name).to_bytes(2, "big") + name + identifier + b"\0" + payload)


class ScriptedBroker:
    """The server's side of one connection after another; `seen` holds what the clients sent."""

    def __init__(self) -> None:
        self.port = 0
        self.session_present = False
        self.connects = 0
        self.seen: list[Packet] = []
        self._writer: asyncio.StreamWriter | None = None

    def send(self, data: bytes) -> None:
        """Send raw bytes to the client that is connected."""
        assert self._writer is not None
        self._writer.write(data)

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
                self._answer(await _read_packet(reader), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, received: Packet, writer: asyncio.StreamWriter) -> None:
        self.seen.append(received)
        if received.kind == CONNECT:
            self.connects += 1
            writer.write(packet(CONNACK, bytes((self.session_present, 0, 0))))
        elif received.kind == SUBSCRIBE:
            writer.write(packet(SUBACK, received.body[:2] + b"\0\2"))
        elif received.kind == PINGREQ:
            writer.write(packet(PINGRESP, b""))


async def _read_packet(reader: asyncio.StreamReader) -> Packet:
    kind = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 127) << shift
        shift += 7
        if not digit & 128:
            return Packet(kind, await reader.readexactly(length))


@asynccontextmanager
async def scripted_broker() -> AsyncIterator[ScriptedBroker]:
    """Serve a scripted broker on a free port of loopback."""
    broker = ScriptedBroker()
    server = await asyncio.start_server(broker.handle, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        if broker._writer is not None:
            broker._writer.transport.abort()
        await server.wait_closed()
