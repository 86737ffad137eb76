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

USER = "generator"
RULES = f"\nuser {USER}\ntopic write telemetry/bench/#\n"
"""What the broker's access rules must say besides: one connection publishes for many devices."""

_TICK_SECONDS = 0.002
_KEEPALIVE_SECONDS = 600
_NAMES = [b"%c" % (97 + field) if field < 26 else b"f%d" % field for field in range(256)]
_ACKNOWLEDGED = bytes((packets.PUBACK, 2))


class Load(Struct, frozen=True, kw_only=True):
    """What to send: readings of so many devices in turn, over a few connections.

    At a rate a second, each reading stamped with when it is due, or as fast as it goes. Several
    readings of one device (`pack`) are one message.
    """

    host: str
    port: int
    password: str
    qos: int
    readings: int
    devices: int = 1000
    pack: int = 1
    fields: int = 4
    readings_per_second: float = 0.0
    begin_at_ms: int
    connections: int = 20
    window: int = 100

    @property
    def messages(self) -> int:
        """How many messages that is."""
        return self.readings // self.pack


class Sent(Struct, frozen=True, kw_only=True):
    """How many readings were sent between two moments of the machine's monotonic clock.

    Acknowledged as well where QoS > 0; `refused` counts acknowledgements of no success.
    `late_ms_p99` is how late a reading was sent.
    """

    readings: int
    began_s: float
    ended_s: float
    late_ms_p99: float
    cpu_seconds: float
    refused: int


class Connection(asyncio.Protocol):
    """One connection, with its packets."""

    def __init__(self, load: Load, name: str, encoded: list[bytes]) -> None:
        self.connected = asyncio.Event()
        self.done = asyncio.Event()
        self.refused = 0
        self._hello = packets.connect(
            name, USER, load.password, keepalive_seconds=_KEEPALIVE_SECONDS
        )
        self._packets = encoded
        self._qos, self._window = load.qos, load.window
        self._sent = self._settled = 0
        self._allowed = 0
        self._is_writable = True
        self._splitter = PacketSplitter()
        self._is_split = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._hello)

    def allow(self, messages: int) -> None:
        """Let so many more be sent."""
        self._allowed = min(self._allowed + messages, len(self._packets))
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
        if not self._is_split and _only_success(data):
            self._settled += len(data) // 4
        else:
            self._take(self._splitter.feed(data))
            self._is_split = self._splitter.holds_part
        self._pump()

    def _take(self, found: list[bytes]) -> None:
        for packet in found:
            if packet[0] in (packets.PUBACK, packets.PUBCOMP):
                self._settled += 1
                self.refused += packets.reason_of(packet) != packets.SUCCESS
            elif packet[0] == packets.PUBREC:
                number = packets.packet_id_of(packet)
                self._transport.write(packets.answer(packets.PUBREL, number))
            elif packet[0] == packets.CONNACK:
                self.connected.set()

    def _pump(self) -> None:
        while self._is_writable and self._sent < self._allowed:
            room = self._window - (self._sent - self._settled)
            # Half a window in one write: one for each acknowledgement costs three times as much.
            if room < min(self._window // 2, self._allowed - self._sent):
                break
            upto = min(self._sent + room, self._allowed)
            self._transport.write(b"".join(self._packets[self._sent : upto]))
            self._sent = upto
            if self._qos == 0:
                self._settled = upto
        if self._settled == len(self._packets):
            self.done.set()


def _only_success(data: bytes) -> bool:
    """Whether data are whole PUBACKs without a reason code: by far the most of what comes."""
    acknowledged = len(data) // 4
    return (
        len(data) == 4 * acknowledged
        and data[::4].count(_ACKNOWLEDGED[0]) == acknowledged
        and data[1::4].count(_ACKNOWLEDGED[1]) == acknowledged
    )


async def send(load: Load) -> Sent:
    """Connect, wait for the word to begin, and send."""
    loop = asyncio.get_running_loop()
    connections = [
        Connection(load, f"load-{number}", encoded) for number, encoded in enumerate(encode(load))
    ]
    for one in connections:
        await loop.create_connection(lambda one=one: one, load.host, load.port)  # type: ignore[misc]
    await asyncio.gather(*(one.connected.wait() for one in connections))
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    if load.readings_per_second:
        await asyncio.sleep(max(0.0, load.begin_at_ms / 1000 - time.time()))
    began, began_cpu = time.monotonic(), time.process_time()
    late_ms = await _allow(load, connections)
    await asyncio.gather(*(one.done.wait() for one in connections))
    return Sent(
        readings=load.readings,
        began_s=began,
        ended_s=time.monotonic(),
        late_ms_p99=sorted(late_ms)[len(late_ms) * 99 // 100] if late_ms else 0.0,
        cpu_seconds=time.process_time() - began_cpu,
        refused=sum(one.refused for one in connections),
    )


async def _allow(load: Load, connections: list[Connection]) -> list[float]:
    """Let all be sent, each when it is due; return how late each tick's oldest was, in ms."""
    if not load.readings_per_second:
        for one in connections:
            one.allow(load.messages)
        return []
    per_second = load.readings_per_second / load.pack
    late_ms, allowed = [], 0
    while allowed < load.messages:
        passed = time.time() - load.begin_at_ms / 1000
        due = min(load.messages, int(passed * per_second) + 1)
        if due > allowed:
            late_ms.append((passed - allowed / per_second) * 1_000)
        for number in range(allowed, due):
            connections[number % load.devices % load.connections].allow(1)
        allowed = due
        await asyncio.sleep(_TICK_SECONDS)
    return late_ms


def encode(load: Load) -> list[list[bytes]]:
    """Return the packets of each connection: those of a device are all on one."""
    found: list[list[bytes]] = [[] for _ in range(load.connections)]
    for number in range(load.messages):
        device = number % load.devices
        first = number // load.devices * load.pack
        packs = [_reading(load, number, seq) for seq in range(first, first + load.pack)]
        payload = packs[0] if load.pack == 1 else b"[%b]" % b",".join(packs)
        topic = f"telemetry/bench/node-{device:05}/load"
        mine = found[device % load.connections]
        mine.append(packets.publish(topic, payload, load.qos, len(mine) % load.window + 1))
    return found


def _reading(load: Load, message: int, seq: int) -> bytes:
    """Encode a reading, of about 108 bytes with four fields, whose values are never long the same.

    Its time is when it is due; where nothing is due, a millisecond after the one before.
    """
    due_ms = seq
    if load.readings_per_second:
        due_ms = int(message * load.pack / load.readings_per_second * 1_000) + seq % load.pack
    values = b",".join(
        b'"%b":%.4f'
        % (_NAMES[field], 20 + field * 7 + (message * 31 + seq * 17 + field) % 9973 / 997)
        for field in range(load.fields)
    )
    ts = load.begin_at_ms + due_ms
    return b'{"ts":%d,"values":{%b},"boot":%d,"seq":%d}' % (ts, values, load.begin_at_ms, seq)


def main() -> None:
    """Do what standard input asks for."""
    load = msgspec.json.decode(sys.stdin.readline(), type=Load)
    print(msgspec.json.encode(uvloop.run(send(load))).decode(), flush=True)


if __name__ == "__main__":
    main()
