"""The small HTTP server that shows an asyncio service's health, readiness and metrics.

It answers one question a connection, from pages that are made at once. A whole server would be a
third of all that an ingest holds (docs/decisions/0042).
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

import msgspec
from msgspec import Struct

from telemetry import log, problem
from telemetry.exposition import CONTENT_TYPE, exposition
from telemetry.health import Check, readiness
from telemetry.metrics import Samples

_MOST_HEAD_BYTES = 16_384
_MOST_CONNECTIONS = 100
_LONGEST_SECONDS = 10.0  # from a connection's beginning to its end
_METHODS = ("GET", "HEAD")
_REQUEST = re.compile(rb"([A-Z]+) ([!->@-~]+)(?:\?[!-~]*)? HTTP/1\.[01]")
_logger = log.get(__name__)


class Page(Struct, frozen=True):
    """What a path shows, made anew for each question."""

    body: bytes
    status: int = HTTPStatus.OK
    content_type: str = "application/json"


Pages = Mapping[str, Callable[[], Page]]


@asynccontextmanager
async def serve_health(
    service: str,
    listening: socket.socket,
    *,
    checks: Mapping[str, Check],
    samples: Samples,
    pages: Pages | None = None,
) -> AsyncIterator[int]:
    """Serve /healthz, /readyz, /metrics and more `pages` by their paths; yield the port."""

    def readyz() -> Page:
        ready, words = readiness(checks)
        body = msgspec.json.encode({"ready": ready, "checks": words})
        return Page(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)

    shown = {
        "/healthz": lambda: Page(b'{"status":"ok"}'),
        "/readyz": readyz,
        "/metrics": lambda: Page(exposition(service, samples), content_type=CONTENT_TYPE),
        **(pages or {}),
    }
    open_connections: set[_Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(shown, open_connections), sock=listening)
    try:
        yield int(listening.getsockname()[1])
    finally:
        server.close()
        for connection in tuple(open_connections):
            connection.drop()


class _Connection(asyncio.Protocol):
    """Reads one question, answers it and closes; who takes too long, or comes too many, is cut."""

    def __init__(self, pages: Pages, open_connections: "set[_Connection]") -> None:
        self._pages = pages
        self._open = open_connections
        self._head = b""
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        # uvloop's transports are what asyncio describes, and not of its classes.
        self._transport = cast("asyncio.Transport", transport)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(_LONGEST_SECONDS, self.drop)
        self._open.add(self)
        if len(self._open) > _MOST_CONNECTIONS:
            self.drop()

    def data_received(self, data: bytes) -> None:
        """Answer once the head is there; nothing that follows it matters."""
        if self._transport.is_closing():
            return
        self._head += data
        head, whole, _ = self._head.partition(b"\r\n\r\n")
        if len(head) > _MOST_HEAD_BYTES:
            self._send(_problem(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too large a head"))
        elif whole:
            self._answer(head)

    def connection_lost(self, _error: Exception | None) -> None:
        """Forget the connection."""
        self._deadline.cancel()
        self._open.discard(self)

    def drop(self) -> None:
        """Close without a word."""
        self._transport.abort()

    def _answer(self, head: bytes) -> None:
        asked = _REQUEST.fullmatch(head.partition(b"\r\n")[0])
        if asked is None:
            self._send(_problem(HTTPStatus.BAD_REQUEST, "no request in HTTP/1.1"))
            return
        method, path = (part.decode() for part in asked.groups())
        if method in _METHODS:
            self._send(self._page(path), with_body=method == "GET")
        else:
            self._send(_problem(HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD are allowed"))

    def _page(self, path: str) -> Page:
        make = self._pages.get(path)
        if make is None:
            return _problem(HTTPStatus.NOT_FOUND, f"there is no {path}")
        try:
            return make()
        except Exception:
            _logger.exception("a page could not be made", path=path)
            return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, "the page could not be made")

    def _send(self, page: Page, *, with_body: bool = True) -> None:
        status = HTTPStatus(page.status)
        allow = "Allow: GET, HEAD\r\n" if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: {page.content_type}\r\n"
            f"Content-Length: {len(page.body)}\r\n"
            f"{allow}Connection: close\r\n\r\n"
        )
        self._transport.write(head.encode() + (page.body if with_body else b""))
        self._transport.close()


def _problem(status: HTTPStatus, detail: str) -> Page:
    return Page(problem.problem_body(status, detail), status, problem.CONTENT_TYPE)
