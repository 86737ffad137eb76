"""UDP and Unix datagram sockets: a payload a datagram, and never an answer.

All devices of a process share one socket. What the kernel does not take now waits its turn, but
not for long; what it takes is gone, whether anybody reads it or not.
"""

import asyncio
import errno
import socket
from array import array
from collections import deque
from typing import Any, NamedTuple

from sensors.accounting import Accounting
from sensors.backoff import Backoff
from sensors.counters import Counters
from sensors.message import Message
from sensors.settings import SensorsSettings
from sensors.uplink import Sender, Shared, Status
from sensors.ways.addressing import Addressing
from sensors.ways.channel import LARGEST_PAYLOAD_BYTES
from sensors.ways.failures import ConnectFailed, no_connection
from telemetry.rarelog import RareLog

_LARGEST_UDP_BYTES = 65_507  # what IPv4 has room for
_UNSENT_DATAGRAMS = 1_000


class _Unsent(NamedTuple):
    accounting: Accounting
    message: Message
    payload: bytes


class DatagramWay:
    """The socket of a process, opened again when nobody is at its other end any more."""

    def __init__(self, settings: SensorsSettings, counters: Counters, log: RareLog) -> None:
        self._settings = settings
        self._is_udp = settings.via == "udp"
        self._most_bytes = _LARGEST_UDP_BYTES if self._is_udp else LARGEST_PAYLOAD_BYTES
        self._counters = counters
        self._log = log
        self._socket: socket.socket | None = None
        self._lost = asyncio.Event()
        self._unsent: deque[_Unsent] = deque()
        self._all_sent = asyncio.Event()
        self._backoff = Backoff()
        self._uplinks: dict[DatagramUplink, None] = {}

    @property
    def connected(self) -> bool:
        """Whether there is a socket, with somebody at its other end as far as the kernel knows."""
        return self._socket is not None

    def uplink(self, sender: Sender, shared: Shared) -> "DatagramUplink":
        """Return the uplink of a device."""
        return DatagramUplink(sender, self, shared)

    def join(self, uplink: "DatagramUplink") -> None:
        """Send for one more."""
        self._uplinks[uplink] = None
        if self.connected:
            uplink.came()

    async def leave(self, uplink: "DatagramUplink") -> None:
        """Send for one less, once nothing waits for the kernel any more."""
        while self._unsent:
            self._all_sent.clear()
            await self._all_sent.wait()
        self._uplinks.pop(uplink, None)

    async def keep(self) -> None:
        """Open the socket, and again whenever it is lost, until cancelled."""
        while True:
            try:
                sock = await self._open()
            except OSError as error:
                self._failed(no_connection(error))
                self._backoff.failed()
            else:
                self._backoff.lost(await self._stay(sock))
            await asyncio.sleep(self._backoff.next_wait_seconds())

    def send(self, accounting: Accounting, message: Message, payload: bytes) -> None:
        """Send a payload now, or as soon as the kernel takes it; or drop it."""
        if self._socket is None:
            accounting.dropped(message, "not_connected")
        elif len(payload) > self._most_bytes:
            accounting.refused(message, f"{len(payload)} bytes, {self._most_bytes} are allowed")
        elif len(self._unsent) >= _UNSENT_DATAGRAMS:
            accounting.dropped(message, "congested")
        elif self._unsent:
            self._unsent.append(_Unsent(accounting, message, payload))
        elif not self._taken(self._socket, accounting, message, payload):
            self._unsent.append(_Unsent(accounting, message, payload))
            asyncio.get_running_loop().add_writer(self._socket.fileno(), self._send_unsent)

    async def _open(self) -> socket.socket:
        settings = self._settings
        address: Any = settings.unixgram_socket
        family = socket.AF_UNIX
        if self._is_udp:
            found = await asyncio.get_running_loop().getaddrinfo(
                settings.udp_host, settings.udp_port, type=socket.SOCK_DGRAM
            )
            family, *_, address = found[0]
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.setblocking(False)
        try:
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        return sock

    async def _stay(self, sock: socket.socket) -> float:
        """Use a socket until it is lost; return for how many seconds it lasted."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        self._socket = sock
        self._lost.clear()
        self._counters.connects += 1
        for uplink in self._uplinks:
            uplink.came()
        try:
            await self._lost.wait()
            self._counters.lost_connections += 1
        finally:
            self._went(sock)
        return loop.time() - begun_s

    def _went(self, sock: socket.socket) -> None:
        self._socket = None
        asyncio.get_running_loop().remove_writer(sock.fileno())
        sock.close()
        while self._unsent:
            accounting, message, _ = self._unsent.popleft()
            accounting.dropped(message, "not_connected")
        self._all_sent.set()
        for uplink in self._uplinks:
            uplink.went()

    def _send_unsent(self) -> None:
        while self._unsent and self._socket is not None:
            if not self._taken(self._socket, *self._unsent[0]):
                return
            self._unsent.popleft()
        self._all_sent.set()
        if self._socket is not None:
            asyncio.get_running_loop().remove_writer(self._socket.fileno())

    def _taken(
        self, sock: socket.socket, accounting: Accounting, message: Message, payload: bytes
    ) -> bool:
        """Give a payload to the kernel; False where it has to wait."""
        try:
            sock.send(payload)
        except BlockingIOError:
            return False
        except OSError as error:
            self._not_taken(accounting, message, error)
        else:
            accounting.sent(message)
        return True

    def _not_taken(self, accounting: Accounting, message: Message, error: OSError) -> None:
        if error.errno == errno.EMSGSIZE:
            accounting.refused(message, "larger than a datagram of this socket")
            return
        if error.errno == errno.ENOBUFS:
            accounting.dropped(message, "congested")
            return
        accounting.dropped(message, "not_connected")
        # Over UDP a router said that of an earlier datagram; the next one may arrive.
        if not self._is_udp and not self._lost.is_set():
            self._log.warning("connection lost", why=error.strerror)
            self._lost.set()

    def _failed(self, failure: ConnectFailed) -> None:
        self._counters.connect_failures[failure.reason] += 1
        say = self._log.error if failure.reason == "refused" else self._log.warning
        say("cannot connect", why=str(failure))


class DatagramUplink:
    """One device's way through the socket of its process; there is no outbox, and no answer."""

    __slots__ = ("_accounting", "_addressing", "_shared", "_way", "connected")

    in_flight = unfinished = unfinished_readings = 0

    def __init__(self, sender: Sender, way: DatagramWay, shared: Shared) -> None:
        self._way = way
        self._shared = shared
        self._accounting = Accounting(sender.name, sender.qos, shared)
        self._addressing = Addressing(sender)
        self.connected = False

    def take_over(self, numbers: "array[int]") -> None:
        """Do nothing: at QoS 0 nothing is left on disk."""

    def forget(self, last: int) -> None:
        """Do nothing: nothing waits on disk."""

    async def keep_connected(self) -> None:
        """Join the process's socket, which keeps itself."""
        self._way.join(self)

    def publish(self, message: Message) -> None:
        """Send a reading, or drop it."""
        self._way.send(self._accounting, message, self._addressing.addressed(message))

    def restart(self, status: Status | None) -> None:
        """Do nothing: there is no connection to break."""

    def break_off(self, away_seconds: float) -> None:
        """Do nothing: there is no connection to break."""

    async def leave(self) -> None:
        """Wait until what was published has left."""
        await self._way.leave(self)
        self.went()

    def came(self) -> None:
        """Count as connected."""
        self.connected = True
        self._shared.counters.connected += 1

    def went(self) -> None:
        """Count as connected no longer."""
        if self.connected:
            self.connected = False
            self._shared.counters.connected -= 1
