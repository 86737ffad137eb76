"""The ways in by UDP and by Unix datagram socket: a datagram is a payload, and nobody is answered.

What is not read in time the kernel drops, over UDP: it says how much with the next datagram that it
keeps (SO_RXQ_OVFL, socket(7)). A Unix socket drops nothing: there the sender is refused instead.
"""

import asyncio
import ipaddress
import socket
import struct
import time
from collections.abc import Callable, Coroutine, Iterable
from functools import lru_cache
from typing import Any

from ingest.intake import Intake
from ingest.message import Message
from ingest.sources.counts import DatagramWay
from ingest.sources.listening import Place, WatchedSocket
from ingest.tally import Tally
from telemetry import log

_READ_AT_ONCE = 64  # datagrams, before others have their turn
_TURNS_AT_THE_END = 100  # of so many each: what had come by then
_KNOWN_SENDERS = 10_000
_SO_RXQ_OVFL = 40  # the socket module has no name for these two
_SO_RCVBUFFORCE = 33
_DROPPED = struct.Struct("I")  # since the socket was made, as a number that starts anew at 2^32
_WRAPS_AT = 1 << 32
_ANCILLARY_BYTES = socket.CMSG_SPACE(_DROPPED.size)
_LARGEST_BYTES: dict[DatagramWay, int] = {"udp": 65_507, "unixgram": 1_048_576}
_logger = log.get(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class DatagramSource:
    """Takes datagrams at one place, from `networks` alone where there are some."""

    def __init__(
        self,
        way: DatagramWay,
        place: Place,
        intake: Intake,
        tally: Tally,
        *,
        payload_bytes: int,
        buffer_bytes: int,
        networks: Iterable[Network] | None = None,
    ) -> None:
        self.way: DatagramWay = way
        self._intake = intake
        self._tally = tally
        self._counts = tally.sockets
        self._buffer_bytes = buffer_bytes
        self._largest_bytes = min(payload_bytes, _LARGEST_BYTES[way])
        self._datagram = memoryview(bytearray(self._largest_bytes))
        self._allows = None if networks is None else _allowance(networks)
        self._listening = WatchedSocket(place, self._read, self._prepare)
        self._is_held = asyncio.Event()
        self._dropped = 0

    @property
    def problem(self) -> str | None:
        """What keeps it from listening; of the Source protocol."""
        return self._listening.problem

    @property
    def address(self) -> Any:
        """Where it listens; None while it does not."""
        return self._listening.address

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run; of the Source protocol."""
        return {self.way: self._listening.run(), f"{self.way} room": self._mind_room()}

    def pause(self) -> None:
        """Take what has come until now, and no more; of the Source protocol."""
        for _ in range(_TURNS_AT_THE_END):
            self._listening.read_once()
        self._listening.close()

    async def disconnect(self) -> None:
        """Do nothing: nobody waits for an answer; of the Source protocol."""

    def _prepare(self, opened: socket.socket) -> None:
        """Ask for the kernel's counter of drops, and for a buffer."""
        self._dropped = 0
        opened.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        try:
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, self._buffer_bytes)
        except PermissionError:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer_bytes)
        # The kernel doubles what is asked for, for its own bookkeeping.
        given_bytes = opened.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        if given_bytes < self._buffer_bytes:
            _logger.warning(
                "the kernel's buffer is smaller than set (net.core.rmem_max)", bytes=given_bytes
            )

    def _read(self, readable: socket.socket) -> None:
        arrival_ms = time.time_ns() // 1_000_000
        for _ in range(_READ_AT_ONCE):
            if not self._intake.has_room():
                self._is_held.set()
                self._listening.watch(False)
                return
            try:
                size, ancillary, flags, sender = readable.recvmsg_into(
                    [self._datagram], _ANCILLARY_BYTES
                )
            except BlockingIOError:
                return
            if ancillary:
                self._note_dropped(ancillary[0][2])
            if self._allows is not None and not self._allows(sender[0]):
                self._counts.refused_datagrams[self.way] += 1
                continue
            message = Message(None, bytes(self._datagram[:size]), 0, arrival_ms)
            self._tally.messages_by_way[self.way] += 1
            if flags & socket.MSG_TRUNC:
                self._intake.refuse(message, f"a datagram of over {self._largest_bytes:,} bytes")
            else:
                self._intake.accept(message)

    def _note_dropped(self, counter: bytes) -> None:
        (dropped,) = _DROPPED.unpack(counter)
        self._counts.lost_datagrams[self.way] += (dropped - self._dropped) % _WRAPS_AT
        self._dropped = dropped

    async def _mind_room(self) -> None:
        while True:
            await self._is_held.wait()
            await self._intake.room()
            self._is_held.clear()
            self._listening.watch(True)


def _allowance(networks: Iterable[Network]) -> Callable[[str], bool]:
    """Return what tells whether an address is of one of the networks."""
    allowed = tuple(networks)

    @lru_cache(_KNOWN_SENDERS)
    def allows(host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in allowed)

    return allows
