"""The way in by HTTP: listens, hands requests on, and ends without leaving one unanswered."""

import asyncio
import ssl
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from ingest.backoff import Backoff
from ingest.sources import WayName
from ingest.sources.http.receiving import Receiving
from ingest.sources.http.server import BoundedServer
from ingest.sources.listening import NetworkPlace
from ingest.tally import Tally
from telemetry import log

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_HANDSHAKE_SECONDS = 5.0
_GOODBYE_SECONDS = 2.0
_logger = log.get(__name__)


class HttpSource:
    """Takes readings from all who send requests to one place."""

    def __init__(
        self,
        place: NetworkPlace,
        tls: ssl.SSLContext | None,
        receiving: Receiving,
        tally: Tally,
        *,
        most_connections: int,
        idle_seconds: float,
    ) -> None:
        self._place = place
        self._tls = tls
        self._receiving = receiving
        self._tally = tally
        self._most_connections = most_connections
        self._idle_seconds = idle_seconds
        self._server: BoundedServer | None = None
        self._listening: asyncio.Server | None = None
        self._problem: str | None = "not listening yet"

    @property
    def way(self) -> WayName:
        """Which way it is; of the Source protocol."""
        return "http"

    @property
    def problem(self) -> str | None:
        """What keeps it from listening; of the Source protocol."""
        return self._problem

    @property
    def address(self) -> Any:
        """Where it listens; None while it does not."""
        return self._listening.sockets[0].getsockname() if self._listening is not None else None

    @property
    def requests(self) -> int:
        """How many requests are in work."""
        return self._receiving.requests

    @property
    def held_bytes(self) -> int:
        """How much of bodies is held that have not been taken yet."""
        return self._receiving.held_bytes

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run; of the Source protocol."""
        return {"http": self._run()}

    def pause(self) -> None:
        """Take no more requests; those taken are answered. Of the Source protocol."""
        self._receiving.pause()
        self._problem = None
        if self._listening is not None:
            self._listening.close()
        if self._server is not None:
            self._server.close_idle()

    async def disconnect(self) -> None:
        """Close every connection behind its answer; of the Source protocol."""
        if self._server is not None:
            await self._server.shutdown(_GOODBYE_SECONDS)

    async def _run(self) -> None:
        """Open the socket as soon as it can be, and keep it open until cancelled."""
        self._server = BoundedServer(
            self._respond,
            self._tally.sockets,
            most_connections=self._most_connections,
            idle_seconds=self._idle_seconds,
        )
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        try:
            while self._problem is not None:
                if not await self._opened(self._server):
                    await asyncio.sleep(backoff.next_seconds())
            await asyncio.Event().wait()
        finally:
            if self._listening is not None:
                self._listening.close()

    async def _opened(self, server: BoundedServer) -> bool:
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                server,
                sock=self._place.open(),
                ssl=self._tls,
                ssl_handshake_timeout=None if self._tls is None else _HANDSHAKE_SECONDS,
            )
        except OSError as error:
            if self._problem != str(error):
                _logger.error("a socket cannot be opened", problem=str(error))
            self._problem = str(error)
            return False
        self._problem = None
        _logger.info("taking readings over HTTP", address=str(self.address))
        return True

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._server is not None, "it has made the connection"
        self._server.begin(request)
        try:
            response = await self._receiving.respond(request)
        finally:
            self._server.end(request)
        self._tally.http.note(response.status)
        return response
