"""The ways in by TCP and by Unix socket: a listening socket, and the connections made there.

All connections share the intake's room. When it is gone nobody is read, and when it is back they
are read again, those first who have waited the longest. What was read already and had no room waits
here, in bytes that have a bound for all together: past it, it goes first.
"""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Coroutine
from contextlib import suppress
from itertools import groupby
from typing import Any

from msgspec import Struct

from ingest.grant import Grant
from ingest.intake import Intake
from ingest.message import Message, Receipt
from ingest.sources import lines
from ingest.sources.arrivals import Arrivals
from ingest.sources.counts import EndReason, StreamWay
from ingest.sources.hosts import Hosts
from ingest.sources.keys import Keys
from ingest.sources.lines import Trouble
from ingest.sources.listening import Place
from ingest.sources.stream_connection import Limits, StreamConnection
from ingest.tally import Tally
from telemetry import log
from telemetry.rarelog import RareLog

_LOOK_SECONDS = 0.5
_CAUGHT_UP_SHARE = 0.5  # of what may wait here, below which more is read
_TURNS_OF_THE_LOOP = 2  # after which a socket that was just watched again has been read
_GOODBYE_SECONDS = 2.0
_PEER = struct.Struct("iII")  # struct ucred: process, user, group
_BUSY = Trouble("too many connections")
_TOO_MANY_OF_ONE = Trouble("too many connections from this address")
_NOT_ALLOWED = Trouble("this user may not send here")


class Door(Struct, frozen=True):
    """Who gets in: how many at once, over TLS or not, with a key or as a user of this machine.

    Without `host_connections` one host may have them all.
    """

    connections: int
    host_connections: int | None = None
    tls: ssl.SSLContext | None = None
    keys: Keys | None = None
    users: frozenset[int] | None = None


class StreamSource:
    """Takes lines from all who are connected at one place."""

    def __init__(
        self,
        way: StreamWay,
        place: Place,
        door: Door,
        limits: Limits,
        intake: Intake,
        tally: Tally,
        *,
        unfinished_bytes: int,
        backlog_bytes: int,
    ) -> None:
        self.way: StreamWay = way
        self._door = door
        self._intake = intake
        self._tally = tally
        self._counts = tally.sockets
        self._connections: set[StreamConnection] = set()
        self._hosts = Hosts()
        self._is_held = asyncio.Event()
        self._is_open = asyncio.Event()
        self._is_open.set()
        self._arrivals = Arrivals(
            way,
            place,
            door.tls,
            admit=self._admit,
            make=lambda host: StreamConnection(self, limits, door.keys, host),
            on_failure=self._note_no_tls,
            may_enter=self._is_open,
        )
        self._is_pausing = False
        self.unfinished_bytes = 0
        self._most_unfinished_bytes = unfinished_bytes
        self.backlog_bytes = 0
        self._most_backlog_bytes = backlog_bytes
        self._is_behind = False
        self._moved = asyncio.Event()
        self._log = RareLog(log.get(__name__))

    @property
    def problem(self) -> str | None:
        """What keeps it from listening; of the Source protocol."""
        return self._arrivals.problem

    @property
    def address(self) -> Any:
        """Where it listens; None while it does not."""
        return self._arrivals.address

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run; of the Source protocol."""
        return {
            self.way: self._arrivals.run(),
            f"{self.way} room": self._mind_room(),
            f"{self.way} time": self._mind_time(),
        }

    def pause(self) -> None:
        """Let nobody in and read nobody; what was taken is still answered."""
        self._is_pausing = True
        self._arrivals.close()
        self.hold()

    async def disconnect(self) -> None:
        """Close every connection behind its last answer."""
        going = list(self._connections)
        for connection in going:
            connection.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await asyncio.gather(*(connection.lost.wait() for connection in going))
        for connection in list(self._connections):
            connection.abort()

    def accept(self, line: bytes, receipt: Receipt, grant: Grant | None, arrival_ms: int) -> None:
        """Hand a line on; of the Receiver protocol."""
        self._tally.messages_by_way[self.way] += 1
        self._intake.accept(Message(None, line, 1, arrival_ms, receipt=receipt, grant=grant))

    def has_room(self) -> bool:
        """Tell whether more can be taken; of the Receiver protocol."""
        return not self._is_pausing and self._intake.has_room()

    def hold(self) -> None:
        """Read nobody until there is room; of the Receiver protocol."""
        self._is_open.clear()
        if not self._is_held.is_set():
            self._is_held.set()
            for connection in self._connections:
                connection.hold()

    def join(self, connection: StreamConnection) -> None:
        """Count a new connection in; of the Receiver protocol."""
        self._connections.add(connection)
        self._counts.connections[self.way] = len(self._connections)
        if not self._is_open.is_set():
            connection.hold()

    def leave(self, connection: StreamConnection) -> None:
        """Count a connection out; of the Receiver protocol."""
        self._connections.discard(connection)
        self._hosts.remove(connection.host)
        self._counts.connections[self.way] = len(self._connections)
        self._moved.set()

    def note_unfinished(self, more_bytes: int) -> None:
        """Let the oldest unfinished line go where all together are too much; of the Receiver's."""
        self.unfinished_bytes += more_bytes
        if self.unfinished_bytes > self._most_unfinished_bytes:
            begun = [one for one in self._connections if one.line_since_s is not None]
            oldest = min(begun, key=lambda one: one.line_since_s or 0.0)
            oldest.fail("memory", Trouble("too much of unfinished lines is held"))

    def note_backlog(self, more_bytes: int) -> None:
        """Let nobody be read where too much is here already; of the Receiver protocol."""
        self.backlog_bytes += more_bytes
        if self.backlog_bytes > self._most_backlog_bytes:
            self._is_behind = True
            self.hold()
        elif self.backlog_bytes < self._most_backlog_bytes * _CAUGHT_UP_SHARE:
            self._is_behind = False

    def note_answered(self, answered: int) -> None:
        """Count answered lines; of the Receiver protocol."""
        self._tally.acknowledged_messages += answered
        self._moved.set()

    def note_ended(self, reason: EndReason) -> None:
        """Count a connection that has to end; of the Receiver protocol."""
        self._counts.ended[self.way, reason] += 1
        if reason != "idle":
            self._log.warning(f"a connection was ended: {reason}", way=self.way)

    def _admit(self, peer: socket.socket, host: str) -> bool:
        """Whether there is room for one more, who may send."""
        if len(self._connections) + len(self._arrivals) >= self._door.connections:
            self._turn_away(peer, "busy", _BUSY)
        elif self._has_its_share(host):
            self._turn_away(peer, "address", _TOO_MANY_OF_ONE)
        elif self._door.users is not None and _user_of(peer) not in self._door.users:
            self._turn_away(peer, "user", _NOT_ALLOWED)
        else:
            self._hosts.add(host)
            return True
        return False

    def _has_its_share(self, host: str) -> bool:
        most = self._door.host_connections
        return most is not None and self._hosts[host] >= most

    def _note_no_tls(self, host: str) -> None:
        self._hosts.remove(host)
        self.note_ended("tls")

    def _turn_away(self, peer: socket.socket, reason: EndReason, trouble: Trouble) -> None:
        self.note_ended(reason)
        with peer, suppress(OSError):
            if self._door.tls is None:
                peer.send(lines.error(trouble))

    async def _mind_room(self) -> None:
        while True:
            await self._is_held.wait()
            await self._intake.room()
            if self._is_pausing:
                return
            self._is_held.clear()
            await self._catch_up()
            if not self._is_held.is_set():
                self._is_open.set()
                await self._let_take_turns()

    async def _catch_up(self) -> None:
        """Read nobody until less is left of what was read already."""
        while self._has_to_catch_up():
            self._moved.clear()
            waiting = [one for one in self._connections if one.has_more]
            for connection in sorted(waiting, key=lambda one: one.served_ms):
                if self._has_to_catch_up():
                    connection.hand_on()
                    await asyncio.sleep(0)
            if not waiting:  # each has as much unanswered as it may
                await self._moved.wait()

    def _has_to_catch_up(self) -> bool:
        return self._is_behind and not self._is_held.is_set()

    async def _let_take_turns(self) -> None:
        """Let each go on, as far as the room lasts, and those first who have waited the longest.

        Who has to be read first is given the time for it, before the next with lines at hand.
        """
        waiting = sorted(self._connections, key=lambda one: one.served_ms)
        for _has_more, some in groupby(waiting, key=lambda one: one.has_more):
            for connection in some:
                if self._is_held.is_set():
                    return
                connection.go_on()
            for _ in range(_TURNS_OF_THE_LOOP):
                await asyncio.sleep(0)

    async def _mind_time(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            now_s = time.monotonic()
            for connection in list(self._connections):
                connection.mind_time(now_s)


def _user_of(peer: socket.socket) -> int:
    """Return the number of the user who has connected, as the kernel vouches for it."""
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _process, user, _group = _PEER.unpack(packed)
    return int(user)
