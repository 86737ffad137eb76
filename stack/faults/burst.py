"""A generator of very many readings a second, in a process of its own.

`python -m stack.faults.burst ORDER` connects the devices of a JSON order, encodes every packet,
says `ready`, begins at SIGUSR1, and leaves its report in a file. Its messages are small packs: ten
times the rate in messages of one asks more of all parts together than two cores have.
"""

import asyncio
import os
import signal
import sys
import time
from collections import deque
from pathlib import Path

import msgspec
from msgspec import Struct

from stack.broker import Broker
from stack.faults import packets
from stack.faults.packets import PacketSplitter
from stack.faults.raw_device import SITE, WINDOW, native, now_ms
from stack.local import LocalStack
from stack.process import Process
from telemetry.ledger import SUFFIX, LedgerWriter
from telemetry.private_files import write_private

_DEVICES = 60
PACK = 4  # readings in a message
_MEASUREMENT = "burst"
_TICK_SECONDS = 0.005
_MOST_UNSENT_BYTES = 1 << 20
_LASTPACKET_ID = 65_000
_DRAIN_SECONDS = 60.0
_CALM_SECONDS = 2.0
_READY = "ready"


class Order(Struct, frozen=True):
    """What is to be published, by whom, and where it is noted; passwords are by device."""

    host: str
    port: int
    passwords: dict[str, str]
    rate: int
    seconds: float
    ledger: str
    report: str

    @property
    def packs(self) -> int:
        """How many messages each device publishes."""
        return int(self.rate * self.seconds) // len(self.passwords) // PACK


class Report(Struct, frozen=True):
    """How many readings were offered, and in what time."""

    offered: int
    seconds: float


class Burst(Process):
    """The generator as a part of a stack: ready once all is connected and encoded."""

    ends_by_itself = True

    def __init__(self, local: LocalStack, broker: Broker, *, rate: int, seconds: float) -> None:
        names = [f"burst-{number:03d}" for number in range(_DEVICES)]
        broker.admit(names)
        self._report = local.folder / "burst.json"
        order = Order(
            broker.host,
            broker.port,
            {name: broker.password(name) for name in names},
            rate,
            seconds,
            str(local.ledger_folder / f"burst{SUFFIX}"),
            str(self._report),
        )
        path = local.folder / "secrets" / "burst-order"
        write_private(path, msgspec.json.encode(order).decode())
        super().__init__(
            "burst",
            [sys.executable, "-m", "stack.faults.burst", str(path)],
            environment={"PATH": os.environ.get("PATH", os.defpath)},
            log_path=local.logs / "burst.log",
        )

    def __enter__(self) -> "Burst":
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def lacks(self) -> str | None:
        """Return None once it has said that it is ready."""
        return None if _READY in self.log_tail() else "a word"

    def begin(self) -> None:
        """Let it publish."""
        os.kill(self.pid, signal.SIGUSR1)

    def report(self) -> Report:
        """Return what it reported at its end."""
        return msgspec.json.decode(self._report.read_bytes(), type=Report)


class _Device(asyncio.Protocol):
    """One device: sends what is due as far as its window and its socket allow, counted in packs."""

    def __init__(self, name: str, password: str, qos: int, session: int, ledger: LedgerWriter):
        self.qos = qos
        self.sent = 0
        self.accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._name, self._password = name, password
        self._session, self._ledger = session, ledger
        self._splitter = PacketSplitter()
        self._packets: list[bytes] = []
        self._times_ms: list[int] = []
        self._in_flight: deque[int] = deque()

    @property
    def in_flight(self) -> int:
        """How many of its packs are unacknowledged."""
        return len(self._in_flight)

    def encode(self, boot_ms: int, times_ms: list[int]) -> None:
        """Make all packets; the last one may be smaller than the others."""
        topic = f"telemetry/{SITE}/{self._name}/{_MEASUREMENT}"
        self._times_ms = times_ms
        readings = [
            native(time_ms, {"value": seq + 0.5}, boot_ms, seq)
            for seq, time_ms in enumerate(times_ms)
        ]
        for first in range(0, len(readings), PACK):
            payload = b"[" + b",".join(readings[first : first + PACK]) + b"]"
            number = len(self._packets) % _LASTPACKET_ID + 1
            self._packets.append(packets.publish(topic, payload, self.qos, number))

    def send_due(self, due: int) -> None:
        """Send until `due` packs are sent in all, as far as may be."""
        until = min(due, len(self._packets))
        if self.qos:
            until = min(until, self.sent + WINDOW - len(self._in_flight))
        if until <= self.sent or self._transport.get_write_buffer_size() > _MOST_UNSENT_BYTES:
            return
        for pack in range(self.sent, until):
            for seq in self._numbers(pack):
                self._ledger.offered(self._session, seq, self._times_ms[seq], _MEASUREMENT)
            if self.qos:
                self._in_flight.append(pack)
        self._ledger.flush()
        self._transport.write(b"".join(self._packets[self.sent : until]))
        self.sent = until

    def _numbers(self, pack: int) -> range:
        return range(pack * PACK, min((pack + 1) * PACK, len(self._times_ms)))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(packets.connect(self._name, self._name, self._password))

    def data_received(self, data: bytes) -> None:
        for packet in self._splitter.feed(data):
            kind = packet[0]
            if kind == packets.PUBREC:
                self._transport.write(packets.answer(packets.PUBREL, packets.packet_id_of(packet)))
            elif kind in (packets.PUBACK, packets.PUBCOMP):
                # A broker answers in the order of what it was sent [MQTT-4.6.0-2].
                for seq in self._numbers(self._in_flight.popleft()):
                    self._ledger.acknowledged(self._session, seq)
            elif kind == packets.CONNACK:
                self.accepted.set_result(packets.reason_of(packet))

    def close(self) -> None:
        """Leave."""
        self._transport.close()


async def _run(order: Order) -> Report:
    loop, begin = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, begin.set)
    ledger, boot_ms = LedgerWriter(Path(order.ledger)), now_ms()
    devices = [
        await _connected(order, number, name, boot_ms, ledger)
        for number, name in enumerate(order.passwords)
    ]
    # Ready-made packets need their times before: all are due from a fixed moment on.
    start_ms = now_ms() + 2_000
    _encode(devices, order, boot_ms, start_ms)
    print(_READY, flush=True)
    await begin.wait()
    seconds = await _publish(devices, order)
    await _drain(devices)
    report = Report(PACK * sum(device.sent for device in devices), round(seconds, 2))
    await _say_last_words(devices)
    for device in devices:
        device.close()
    ledger.close()
    return report


async def _connected(
    order: Order, number: int, name: str, boot_ms: int, ledger: LedgerWriter
) -> _Device:
    qos = number % 3
    session = ledger.open_session(site=SITE, device=name, boot_ms=boot_ms, qos=qos)
    password = order.passwords[name]
    _transport, device = await asyncio.get_running_loop().create_connection(
        lambda: _Device(name, password, qos, session, ledger), order.host, order.port
    )
    if await device.accepted != packets.SUCCESS:
        raise ConnectionRefusedError(name)
    return device


def _encode(devices: list[_Device], order: Order, boot_ms: int, start_ms: int) -> None:
    count = order.packs * PACK
    for device in devices:
        times_ms = [start_ms + int(n * order.seconds * 1000 / count) for n in range(count)]
        # One more, with which a device of QoS 0 says how far its numbers reach.
        device.encode(boot_ms, [*times_ms, times_ms[-1] + 1])


async def _publish(devices: list[_Device], order: Order) -> float:
    """Send everything at its time; return how long it took until the last one was sent."""
    began, count = time.monotonic(), order.packs
    while any(device.sent < count for device in devices):
        share = min(1.0, (time.monotonic() - began) / order.seconds)
        for device in devices:
            device.send_due(int(share * count))
        await asyncio.sleep(_TICK_SECONDS)
    return time.monotonic() - began


async def _drain(devices: list[_Device]) -> None:
    ticks = int(_DRAIN_SECONDS / _TICK_SECONDS)
    for _tick in range(ticks):
        if not any(device.in_flight for device in devices):
            return
        await asyncio.sleep(_TICK_SECONDS)


async def _say_last_words(devices: list[_Device]) -> None:
    await asyncio.sleep(_CALM_SECONDS)
    for device in devices:
        if device.qos == 0:
            device.send_due(device.sent + 1)
    await asyncio.sleep(_CALM_SECONDS / 2)


def main() -> None:
    """Run the order that the first argument names."""
    order = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Order)
    report = asyncio.run(_run(order))
    Path(order.report).write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    main()
