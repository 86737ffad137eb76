"""A load generator that encodes every packet before it begins: `python -m bench.load`.

It is told by one JSON object on standard input (`Load`), says `ready` once all is encoded and
connected, begins at a line from standard input, and ends with a `Sent` on standard output.
"""

import asyncio
import sys
import time
from typing import cast

import msgspec
import uvloop
from msgspec import Struct

from stack.faults import packets
from stack.faults.packets import PacketSplitter

_TICK_SECONDS = 0.002
_FIELDS = b'{"a":21.53,"b":45.21,"c":1013.25,"d":3.71}'
_LEAD_MS = 60_000
_KEEPALIVE_SECONDS = 600


class Load(Struct, frozen=True, kw_only=True):
    """What to send: so many readings from each device, at a rate a second or as fast as it goes."""

    host: str
    port: int
    qos: int
    passwords: dict[str, str]
    readings_per_device: int
    readings_per_second: float = 0.0
    window: int = 20


class Sent(Struct, frozen=True, kw_only=True):
    """What was sent in how many seconds, acknowledged where QoS > 0, and how late at p99."""

    readings: int
    seconds: float
    late_ms_p99: float
    cpu_seconds: float


class Device(asyncio.Protocol):
    """One connection, with its packets."""

    def __init__(self, load: Load, name: str, boot_ms: int) -> None:
        self.connected = asyncio.Event()
        self.done = asyncio.Event()
        self._hello = packets.connect(
            name, name, load.passwords[name], keepalive_seconds=_KEEPALIVE_SECONDS
        )
        self._packets = _encoded(load, name, boot_ms)
        self._qos, self._window = load.qos, load.window
        self._sent = self._settled = 0
        self._allowed = 0
        self._is_writable = True
        self._splitter = PacketSplitter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._hello)

    def allow(self, readings: int) -> None:
        """Let so many more be sent."""
        self._allowed = min(self._allowed + readings, len(self._packets))
        self._pump()

    def pause_writing(self) -> None:
        """Hold back: the broker reads slower."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._is_writable = True
        self._pump()

    def data_received(self, data: bytes) -> None:
        """Settle what is acknowledged, and send what that makes room for."""
        for packet in self._splitter.feed(data):
            if packet[0] in (packets.PUBACK, packets.PUBCOMP):
                self._settled += 1
            elif packet[0] == packets.PUBREC:
                number = packets.packet_id_of(packet)
                self._transport.write(packets.answer(packets.PUBREL, number))
            elif packet[0] == packets.CONNACK:
                self.connected.set()
        self._pump()

    def _pump(self) -> None:
        while self._is_writable and self._sent < self._allowed:
            room = self._window - (self._sent - self._settled)
            if room <= 0:
                break
            upto = min(self._sent + room, self._allowed)
            self._transport.write(b"".join(self._packets[self._sent : upto]))
            self._sent = upto
            if self._qos == 0:
                self._settled = upto
        if self._settled == len(self._packets):
            self.done.set()


async def send(load: Load) -> Sent:
    """Connect every device, wait for the word to begin, and send."""
    loop = asyncio.get_running_loop()
    boot_ms = time.time_ns() // 1_000_000 + _LEAD_MS
    devices = [Device(load, name, boot_ms) for name in load.passwords]
    for device in devices:
        await loop.create_connection(lambda one=device: one, load.host, load.port)  # type: ignore[misc]
    await asyncio.gather(*(device.connected.wait() for device in devices))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    began, began_cpu = time.monotonic(), time.process_time()
    late_ms = await _allow(load, devices)
    await asyncio.gather(*(device.done.wait() for device in devices))
    return Sent(
        readings=len(devices) * load.readings_per_device,
        seconds=time.monotonic() - began,
        late_ms_p99=sorted(late_ms)[len(late_ms) * 99 // 100] if late_ms else 0.0,
        cpu_seconds=time.process_time() - began_cpu,
    )


async def _allow(load: Load, devices: list[Device]) -> list[float]:
    """Let all be sent, each when it is due; return how late each tick's oldest was, in ms."""
    if not load.readings_per_second:
        for device in devices:
            device.allow(load.readings_per_device)
        return []
    late_ms, allowed, began = [], 0, time.monotonic()
    total = len(devices) * load.readings_per_device
    while allowed < total:
        passed = time.monotonic() - began
        due = min(total, int(passed * load.readings_per_second))
        if due > allowed:
            late_ms.append((passed - (allowed + 1) / load.readings_per_second) * 1_000)
        for number in range(allowed, due):
            devices[number % len(devices)].allow(1)
        allowed = due
        await asyncio.sleep(_TICK_SECONDS)
    return late_ms


def _encoded(load: Load, name: str, boot_ms: int) -> list[bytes]:
    topic = f"telemetry/bench/{name}/load"
    return [
        packets.publish(
            topic,
            b'{"ts":%d,"values":%b,"boot":%d,"seq":%d}' % (boot_ms + seq, _FIELDS, boot_ms, seq),
            load.qos,
            seq % load.window + 1,
        )
        for seq in range(load.readings_per_device)
    ]


def main() -> None:
    """Do what standard input asks for."""
    load = msgspec.json.decode(sys.stdin.readline(), type=Load)
    print(msgspec.json.encode(uvloop.run(send(load))).decode(), flush=True)


if __name__ == "__main__":
    main()
