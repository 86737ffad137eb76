"""Lanes: what carries payloads away for a sender, and returns when they are safe.

A lane that carries no answers returns once they have left.
"""

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, cast

from sensors.ways.channel import Channel
from sensors.ways.failures import ConnectFailed, NotNow, WayFailure
from stack.faults import packets
from stack.faults.packets import PacketSplitter

_KEEPALIVE_SECONDS = 600
_CONNECT_SECONDS = 10.0
_NOT_NOW_SECONDS = 0.2
_BATCH, _BATCHES = 10, 2
"""Together what a device's receive maximum of 20 allows."""

PACKET_IDS = 1_000
"""Numbers that packets have in turn: many more than may be on their way."""


class LaneLost(Exception):
    """Raised when there will be no answer: all that has none is to be sent again."""


class Lane(Protocol):
    """One connection, or whatever stands for one."""

    @property
    def batch_payloads(self) -> int:
        """How many payloads a batch has at most."""
        ...

    @property
    def batch_bytes(self) -> int:
        """A batch ends with the payload that makes it so large."""
        ...

    @property
    def batches_in_flight(self) -> int:
        """How many batches may be without an answer."""
        ...

    @property
    def gather_seconds(self) -> float:
        """How long the first payload of a batch waits for company."""
        ...

    async def open(self) -> None:
        """Connect; LaneLost where that does not come about."""
        ...

    async def send(self, payloads: Sequence[bytes]) -> None:
        """Carry payloads; return when they are safe, LaneLost where they may not be."""
        ...

    async def close(self) -> None:
        """Close it, also where it is broken."""
        ...


class MqttLane(asyncio.Protocol):
    """A device's connection to the broker; its payloads are whole PUBLISH packets."""

    batch_payloads = _BATCH
    batch_bytes = 1 << 20
    batches_in_flight = _BATCHES
    gather_seconds = 0.0

    def __init__(
        self, name: str, password: str, qos: int, host: str, port: int, ca_file: str
    ) -> None:
        self._hello = packets.connect(name, name, password, keepalive_seconds=_KEEPALIVE_SECONDS)
        self._qos = qos
        self._address = (host, port)
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._splitter = PacketSplitter()
        self._connected = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._sent = self._settled = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def open(self) -> None:
        """Connect, and wait until the broker has let it in."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await loop.create_connection(lambda: self, *self._address, ssl=self._tls)
                await self._connected.wait()
        except (OSError, TimeoutError) as error:
            raise LaneLost(str(error) or "not let in") from error

    async def send(self, payloads: Sequence[bytes]) -> None:
        """Publish; at QoS 1 and 2 return when the broker has acknowledged all of it."""
        await self._writable.wait()
        self._transport.write(b"".join(payloads))
        if not self._qos:
            return
        self._sent += len(payloads)
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._sent, settled))
        await settled

    async def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce itself."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        """Settle what is acknowledged: a broker answers in the order of sending."""
        for packet in self._splitter.feed(data):
            if packet[0] in (packets.PUBACK, packets.PUBCOMP):
                self._settled += 1
            elif packet[0] == packets.PUBREC:
                number = packets.packet_id_of(packet)
                self._transport.write(packets.answer(packets.PUBREL, number))
            elif packet[0] == packets.CONNACK:
                self._connected.set()
        while self._waiting and self._waiting[0][0] <= self._settled:
            self._waiting.popleft()[1].set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell who waits."""
        while self._waiting:
            _upto, waiting = self._waiting.popleft()
            if not waiting.done():
                waiting.set_exception(LaneLost(str(error)))

    def pause_writing(self) -> None:
        """Hold back: the broker reads slower."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Go on."""
        self._writable.set()


class ChannelLane:
    """A channel of the sensors: as the fleet sends, with what it allows at a time.

    `alone`: one payload a batch, as a device does that has no others beside it.
    """

    def __init__(self, channel: Channel, *, alone: bool = False) -> None:
        self._channel = channel
        self._alone = alone

    @property
    def batch_payloads(self) -> int:
        """How many payloads a batch has at most."""
        return 1 if self._alone else self._channel.bounds.batch_payloads

    @property
    def batch_bytes(self) -> int:
        """A batch ends with the payload that makes it so large."""
        return self._channel.bounds.batch_bytes

    @property
    def batches_in_flight(self) -> int:
        """How many batches may be without an answer."""
        return self._channel.bounds.batches_in_flight

    @property
    def gather_seconds(self) -> float:
        """How long the first payload of a batch waits for company."""
        return 0.0 if self._alone else self._channel.bounds.gather_seconds

    async def open(self) -> None:
        """Open the channel."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await self._channel.open(lambda _why: None)
        except (ConnectFailed, TimeoutError) as error:
            raise LaneLost(str(error) or "not let in") from error

    async def send(self, payloads: Sequence[bytes]) -> None:
        """Send until all of it is safe; what the corpus holds is good, and so is never refused."""
        while True:
            try:
                answer = await self._channel.send(payloads)
            except NotNow as error:
                await asyncio.sleep(error.after_seconds or _NOT_NOW_SECONDS)
            except WayFailure as error:
                raise LaneLost(str(error)) from error
            else:
                if answer.rejected:
                    raise RuntimeError(f"in quarantine: {answer.rejected[0].reason}")
                return

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


class DatagramLane:
    """A datagram socket, to a port or a socket file; what nobody takes is lost, and counted."""

    batch_payloads = 20
    batch_bytes = 1 << 20
    batches_in_flight = 1
    gather_seconds = 0.0

    def __init__(self, address: tuple[str, int] | Path) -> None:
        self._address = str(address) if isinstance(address, Path) else address
        self._family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
        self.refused = 0
        self.payload_bytes = 0

    async def open(self) -> None:
        """Make the socket; it need not find anybody yet."""
        self._socket = socket.socket(self._family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._connect()

    async def send(self, payloads: Sequence[bytes]) -> None:
        """Send each at once, or when the kernel has room again."""
        for payload in payloads:
            while not self._left(payload):
                await self._room()
        await asyncio.sleep(0)

    async def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _left(self, payload: bytes) -> bool:
        """Send one, or give it up; False where there is no room for it now."""
        try:
            self._socket.send(payload)
        except BlockingIOError:
            return False
        except OSError:
            # Nobody is there, or another one than before: the next may find that one.
            self.refused += 1
            self._connect()
        self.payload_bytes += len(payload)
        return True

    def _connect(self) -> None:
        # Connected, so that the kernel says when a socket file's reader has room again.
        with suppress(OSError):
            self._socket.connect(self._address)

    async def _room(self) -> None:
        """Wait until the kernel takes more."""
        loop = asyncio.get_running_loop()
        there = asyncio.Event()
        loop.add_writer(self._socket, there.set)
        try:
            await there.wait()
        finally:
            loop.remove_writer(self._socket)
