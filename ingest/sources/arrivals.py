"""Connections on their way in: accepted at one place, over TLS or not, as many as are borne."""

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable
from typing import Any

from ingest.sources import WayName
from ingest.sources.hosts import host_of
from ingest.sources.listening import Place, WatchedSocket
from telemetry import log
from telemetry.rarelog import RareLog

_ACCEPTED_AT_ONCE = 16  # who is on the way in cannot be held
_NO_FILES_LEFT = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_REST_SECONDS = 0.5  # until files may be left again
_HANDSHAKE_SECONDS = 5.0

Admit = Callable[[socket.socket, str], bool]

MakeProtocol = Callable[[str], asyncio.Protocol]


class Arrivals:
    """Listens, and lets in whom `admit` admits, which closes all others; `make` is who serves them.

    `on_failure` is called where nothing comes of one that was admitted. Each is given the host.
    While `may_enter` is not set, those admitted wait.
    """

    def __init__(
        self,
        way: WayName,
        place: Place,
        tls: ssl.SSLContext | None,
        *,
        admit: Admit,
        make: MakeProtocol,
        on_failure: Callable[[str], None],
        may_enter: asyncio.Event | None = None,
    ) -> None:
        self._way = way
        self._tls = tls
        self._admit = admit
        self._make = make
        self._on_failure = on_failure
        self._may_enter = may_enter
        self._listening = WatchedSocket(place, self._accept)
        self._arriving: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._log = RareLog(log.get(__name__))

    def __len__(self) -> int:
        """How many are admitted and not in yet."""
        return len(self._arriving)

    @property
    def problem(self) -> str | None:
        """What keeps it from listening."""
        return self._listening.problem

    @property
    def address(self) -> Any:
        """Where it listens; None while it does not."""
        return self._listening.address

    async def run(self) -> None:
        """Listen as soon as that can be, until cancelled or closed."""
        await self._listening.run()

    def close(self) -> None:
        """Listen no more, and let those who are not in yet go."""
        self._listening.close()
        for task in list(self._arriving):
            task.cancel()

    def drop_oldest(self) -> None:
        """Let the one go that has been on its way for the longest."""
        oldest = next(iter(self._arriving))
        self._arriving.pop(oldest)
        oldest.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTED_AT_ONCE):
            try:
                peer, address = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_FILES_LEFT:
                    self._rest(error)
                    return
                continue  # who has gone before being let in
            peer.setblocking(False)
            host = host_of(address)
            if self._admit(peer, host):
                arriving = self._let_in(peer, host)
                task = asyncio.create_task(arriving, name=f"{self._way} arrival")
                self._arriving[task] = None
                task.add_done_callback(lambda done: self._arriving.pop(done, None))

    def _rest(self, error: OSError) -> None:
        self._log.error("no connection can be let in", way=self._way, problem=str(error))
        self._listening.watch(False)
        asyncio.get_running_loop().call_later(_REST_SECONDS, self._listening.watch, True)

    async def _let_in(self, peer: socket.socket, host: str) -> None:
        try:
            # Who is in is read, on uvloop, before it can be told to wait.
            while self._may_enter is not None and not self._may_enter.is_set():
                await self._may_enter.wait()
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self._make(host),
                peer,
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else _HANDSHAKE_SECONDS,
            )
        except (OSError, TimeoutError):
            peer.close()
            self._on_failure(host)
        except asyncio.CancelledError:
            peer.close()
            raise
