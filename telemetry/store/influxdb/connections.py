"""Requests to InfluxDB by Python's own HTTP, for who starts fast (docs/decisions/0041)."""

import select
import ssl
import weakref
from collections import deque
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from urllib.parse import urlsplit

from telemetry.store import StoreError, StoreMisconfigured, StoreTooSlow, StoreUnavailable
from telemetry.store.influxdb.exchange import PIECE_BYTES, Answer, Pieces, Request


class Connections:
    """An Exchange on connections that are kept for further requests while the server keeps them."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._parts = urlsplit(url)
        self._timeout_seconds = timeout_seconds
        # The server must show a certificate that is trusted, and in its own name.
        self._tls = ssl.create_default_context() if self._parts.scheme == "https" else None
        self._idle: deque[HTTPConnection] = deque()
        # A store that is dropped without having been closed leaves none open.
        weakref.finalize(self, _close_all, self._idle)

    def send(self, request: Request) -> Answer:
        """Send a request once; of the Exchange protocol."""
        connection = self._kept() or self._new()
        try:
            connection.request(
                request.method, request.target, body=request.body, headers=request.headers
            )
            response = connection.getresponse()
            if request.in_pieces and response.status == 200:
                pieces = self._pieces(connection, response)
                return Answer(response.status, response.headers, pieces=pieces)
            data = response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._failed(error) from error
        self._keep(connection, response)
        return Answer(response.status, response.headers, data)

    def close(self) -> None:
        """Close the connections; of the Exchange protocol."""
        _close_all(self._idle)

    def _pieces(self, connection: HTTPConnection, response: HTTPResponse) -> Pieces:
        try:
            while piece := response.read1(PIECE_BYTES):
                yield piece
            if response.length:
                raise IncompleteRead(b"", response.length)
        except (OSError, HTTPException) as error:
            raise self._failed(error) from error
        finally:
            # Whoever stops early leaves bytes unread: that connection serves no other question.
            response.close()
            connection.close()

    def _kept(self) -> HTTPConnection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _has_ended(connection):
                return connection
            connection.close()

    def _keep(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        if response.will_close:
            connection.close()
        else:
            self._idle.append(connection)

    def _new(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is None:
            return HTTPConnection(host, port, timeout=self._timeout_seconds)
        return HTTPSConnection(host, port, timeout=self._timeout_seconds, context=self._tls)

    def _failed(self, error: OSError | HTTPException) -> StoreError:
        text = f"{self._url}: {str(error) or type(error).__name__}"
        if isinstance(error, TimeoutError):
            return StoreTooSlow(text)
        is_tls = isinstance(error, ssl.SSLError)
        return StoreMisconfigured(text) if is_tls else StoreUnavailable(text)


def _close_all(connections: deque[HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


def _has_ended(connection: HTTPConnection) -> bool:
    """Tell whether the server has closed a connection: it says nothing unless it is asked."""
    looking = select.poll()
    looking.register(connection.sock, select.POLLIN)
    return bool(looking.poll(0))
