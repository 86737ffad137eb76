"""aiohttp's server with a bound on its connections, and errors in our shape."""

from typing import Any

from aiohttp import web

from ingest.sources.counts import SocketCounts
from ingest.sources.http.problems import Problem
from telemetry import log

_logger = log.get(__name__)

LIMITS: dict[str, Any] = {
    "max_line_size": 2_048,
    "max_field_size": 2_048,
    "max_headers": 50,
    "read_bufsize": 65_536,
    "lingering_time": 1.0,  # how long what is left of a refused body is read, unseen
    "auto_decompress": False,  # a bomb would be inflated before anybody could count
    "access_log": None,
}
"""What a connection may send before anybody knows whose it is."""


class Connection(web.RequestHandler):
    """One sender's connection; what aiohttp itself refuses is a problem as any other."""

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Return the answer to what is no request, or could not be answered."""
        if status < 500:
            return Problem(status, "This is not HTTP as it should be.", is_last=True).response()
        _logger.error("request failed", exc_info=exc)
        return Problem(500, "Ingest failed to answer; its log says why.", is_last=True).response()


class BoundedServer(web.Server):
    """Makes the connections; where there are too many, the one that asks nothing goes first.

    So those who connect and never send a request cannot keep others out.
    """

    def __init__(
        self, handler: Any, counts: SocketCounts, *, most_connections: int, idle_seconds: float
    ) -> None:
        super().__init__(handler, keepalive_timeout=idle_seconds, **LIMITS)
        self._counts = counts
        self._most = most_connections
        self._open: dict[web.RequestHandler, None] = {}  # the oldest first
        self._busy: set[web.RequestHandler] = set()

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: web.RequestHandler, transport: Any) -> None:
        """Note a connection, and turn one away where there are too many."""
        super().connection_made(handler, transport)
        self._open[handler] = None
        if len(self._open) > self._most:
            self._counts.ended["http", "busy"] += 1
            idle = next((one for one in self._open if one not in self._busy), handler)
            self._open.pop(idle)
            idle.force_close()
        self._counts.connections["http"] = len(self._open)

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Note that a connection is gone."""
        super().connection_lost(handler, exc)
        self._open.pop(handler, None)
        self._counts.connections["http"] = len(self._open)

    def begin(self, request: web.BaseRequest) -> None:
        """Note that a connection has a request in work."""
        self._busy.add(request.protocol)

    def end(self, request: web.BaseRequest) -> None:
        """Note that its answer is ready."""
        self._busy.discard(request.protocol)

    def close_idle(self) -> None:
        """Close the connections that have no request in work."""
        for connection in [one for one in self._open if one not in self._busy]:
            connection.close()
