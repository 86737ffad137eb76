"""A subscriber that acknowledges and does nothing else: what the broker itself can deliver.

`python -m bench.bare_subscriber` is told by one JSON object on standard input (`Subscription`),
says `ready` once it is subscribed, and ends with a `Received` on standard output.
"""

import asyncio
import sys
import time
from contextlib import suppress
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

from stack.faults import packets
from stack.faults.packets import PacketSplitter

_TOPIC = "telemetry/#"
_QUIET_SECONDS = 3.0
_KEEPALIVE_SECONDS = 600
_MOST_IN_FLIGHT = 65_535


class Subscription(Struct, frozen=True, kw_only=True):
    """As whom to subscribe, and for how many messages to wait."""

    host: str
    port: int
    user: str
    password: str
    messages: int


class Received(Struct, frozen=True, kw_only=True):
    """How many messages came, and when the last did (the machine's monotonic clock)."""

    messages: int
    last_s: float
    cpu_seconds: float


class Subscriber(asyncio.Protocol):
    """One connection that acknowledges what it reads, in one write a piece of data."""

    def __init__(self, asked: Subscription) -> None:
        self.subscribed = asyncio.Event()
        self.all_came = asyncio.Event()
        self.messages = 0
        self.last_s = 0.0
        self._asked = asked
        self._splitter = PacketSplitter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(
            packets.connect(
                "bare",
                self._asked.user,
                self._asked.password,
                keepalive_seconds=_KEEPALIVE_SECONDS,
                receive_maximum=_MOST_IN_FLIGHT,
            )
        )

    def data_received(self, data: bytes) -> None:
        """Count what came, and answer all of it at once."""
        before = self.messages
        if answers := b"".join([self._answer(packet) for packet in self._splitter.feed(data)]):
            self._transport.write(answers)
        if self.messages > before:
            self.last_s = time.monotonic()
        if self.messages >= self._asked.messages:
            self.all_came.set()

    def _answer(self, packet: bytes) -> bytes:
        kind = packet[0]
        if kind & 0xF0 == packets.PUBLISH:
            return self._take(kind >> 1 & 3, packet)
        if kind == packets.PUBREL:
            return packets.answer(packets.PUBCOMP, packets.packet_id_of(packet))
        if kind == packets.CONNACK:
            return packets.subscribe(_TOPIC, 2)
        if kind == packets.SUBACK:
            self.subscribed.set()
        return b""

    def _take(self, qos: int, packet: bytes) -> bytes:
        self.messages += 1
        if qos == 0:
            return b""
        body = packets.body_of(packet)
        at = 2 + int.from_bytes(body[:2], "big")
        number = int.from_bytes(body[at : at + 2], "big")
        return packets.answer(packets.PUBACK if qos == 1 else packets.PUBREC, number)


async def receive(asked: Subscription) -> Received:
    """Subscribe, and count until all came or no more come."""
    loop = asyncio.get_running_loop()
    _transport, subscriber = await loop.create_connection(
        lambda: Subscriber(asked), asked.host, asked.port
    )
    await subscriber.subscribed.wait()
    print("ready", flush=True)
    began_cpu = time.process_time()
    await _until_over(subscriber)
    return Received(
        messages=subscriber.messages,
        last_s=subscriber.last_s,
        cpu_seconds=time.process_time() - began_cpu,
    )


async def _until_over(subscriber: Subscriber) -> None:
    """Wait until all came, or nothing more comes."""
    counted = -1
    while not subscriber.all_came.is_set() and counted != subscriber.messages:
        counted = subscriber.messages or -1
        with suppress(TimeoutError):
            await asyncio.wait_for(subscriber.all_came.wait(), _QUIET_SECONDS)


def main() -> None:
    """Do what standard input asks for."""
    asked = msgspec.json.decode(sys.stdin.readline(), type=Subscription)
    print(msgspec.json.encode(uvloop.run(receive(asked))).decode(), flush=True)


if __name__ == "__main__":
    main()
