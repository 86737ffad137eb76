"""The way in by HTTP: listens, hands requests on, and ends without leaving one unanswered."""

import socket
import ssl
from collections.abc import Coroutine
from typing import Any

from aiohttp import web

from ingest.sources import WayName
from ingest.sources.arrivals import Arrivals
from ingest.sources.counts import EndReason
from ingest.sources.http.receiving import Receiving
from ingest.sources.http.server import BoundedServer
from ingest.sources.listening import Place
from ingest.tally import Tally

_GOODBYE_SECONDS = 2.0


class HttpSource:
    """Takes readings from all who send requests to one place."""

    def __init__(
        self,
        place: Place,
        tls: ssl.SSLContext | None,
        receiving: Receiving,
        tally: Tally,
        *,
        most_connections: int,
        idle_seconds: float,
    ) -> None:
        self._receiving = receiving
        self._tally = tally
        self._most_connections = most_connections
        self._idle_seconds = idle_seconds
        self._server: BoundedServer | None = None
        self._arrivals = Arrivals(
            "http",
            place,
            tls,
            admit=self._admit,
            make=self._new_connection,
            on_failure=lambda _host: self._note_ended("tls"),
        )

    @property
    def way(self) -> WayName:
        """Which way it is; of the Source protocol."""
        return "http"

    @property
    def problem(self) -> str | None:
        """What keeps it from listening; of the Source protocol."""
        return self._arrivals.problem

    @property
    def address(self) -> Any:
        """Where it listens; None while it does not."""
        return self._arrivals.address

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
        self._arrivals.close()
        if self._server is not None:
            self._server.close_idle()

    async def disconnect(self) -> None:
        """Close every connection behind its answer; of the Source protocol."""
        if self._server is not None:
            await self._server.shutdown(_GOODBYE_SECONDS)

    async def _run(self) -> None:
        # It keeps the running loop, so it is made inside it.
        self._server = BoundedServer(
            self._respond,
            self._tally.sockets,
            most_connections=self._most_connections,
            idle_seconds=self._idle_seconds,
        )
        await self._arrivals.run()

    def _new_connection(self, _host: str) -> web.RequestHandler:
        assert self._server is not None, "it is made before anything listens"
        return self._server()

    def _admit(self, _peer: socket.socket, _host: str) -> bool:
        """Let in whoever comes: where there are too many, one that asks nothing makes room."""
        if len(self._arrivals) >= self._most_connections:
            self._arrivals.drop_oldest()
            self._note_ended("busy")
        return True

    def _note_ended(self, reason: EndReason) -> None:
        self._tally.sockets.ended["http", reason] += 1

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        assert self._server is not None, "it has made the connection"
        self._server.begin(request)
        try:
            response = await self._receiving.respond(request)
        finally:
            self._server.end(request)
        self._tally.http.note(response.status)
        return response
