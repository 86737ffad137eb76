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

from bench import mqtt_packets as mqtt

_TOPIC = "telemetry/#"
_QUIET_SECONDS = 3.0


class Subscription(Struct, frozen=True, kw_only=True):
    """As whom to subscribe, and for how many messages to wait."""

    host: str
    port: int
    user: str
    password: str
    messages: int


class Received(Struct, frozen=True, kw_only=True):
    """How many messages came, in how many seconds from the first to the last."""

    messages: int
    seconds: float
    cpu_seconds: float


class Subscriber(asyncio.Protocol):
    """One connection that acknowledges what it reads, in one write a piece of data."""

    def __init__(self, asked: Subscription) -> None:
        self.subscribed = asyncio.Event()
        self.all_came = asyncio.Event()
        self.messages = 0
        self.first_s = self.last_s = 0.0
        self._asked = asked
        self._reader = mqtt.PacketReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(mqtt.connect("bare", self._asked.user, self._asked.password))

    def data_received(self, data: bytes) -> None:
        """Count what came, and answer all of it at once."""
        before = self.messages
        packets = self._reader.packets(data)
        if answers := b"".join(self._answer(*packet) for packet in packets):
            self._transport.write(answers)
        if self.messages > before:
            self.last_s = time.monotonic()
            self.first_s = self.first_s or self.last_s
        if self.messages >= self._asked.messages:
            self.all_came.set()

    def _answer(self, kind: int, flags: int, body: bytes) -> bytes:
        if kind == mqtt.PUBLISH:
            return self._take(flags >> 1 & 3, body)
        if kind == mqtt.PUBREL:
            return mqtt.acknowledgement(mqtt.PUBCOMP, body[:2])
        if kind == mqtt.CONNACK:
            return mqtt.subscribe(_TOPIC, 2)
        if kind == mqtt.SUBACK:
            self.subscribed.set()
        return b""

    def _take(self, qos: int, body: bytes) -> bytes:
        self.messages += 1
        if qos == 0:
            return b""
        at = 2 + (body[0] << 8 | body[1])
        return mqtt.acknowledgement(mqtt.PUBACK if qos == 1 else mqtt.PUBREC, body[at : at + 2])


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
        seconds=subscriber.last_s - subscriber.first_s,
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
