"""HTTP as the client speaks it: connections, time-outs, the key, and asking again."""

import http.client
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from telemetry import __version__
from telemetry.client.errors import (
    KeyWanted,
    NotUnderstood,
    TooManyRequests,
    Unavailable,
    Unreachable,
    problem_of,
)
from telemetry.client.key import Key
from telemetry.client.patience import Patience

JSON = "application/json"

_MOST_ANSWER_BYTES = 256 * 2**20
_MOST_PROBLEM_BYTES = 65_536

Found = TypeVar("Found")


class Address(Struct, frozen=True):
    """Where the API is; `path` stands before that of each route, for one behind a proxy."""

    is_secure: bool
    host: str
    port: int | None
    path: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        """Read `https://host[:port][/path]`; ValueError for anything else."""
        parts = urlsplit(url)
        is_plain = parts.username is None and not parts.query and not parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or not is_plain:
            raise ValueError(f"{url!r} is not the address of an API: https://host[:port][/path]")
        return cls(parts.scheme == "https", parts.hostname, parts.port, parts.path.rstrip("/"))


class Request(Struct, frozen=True):
    """One question; one with a body changes something, and is not sent twice by oversight."""

    path: str
    parameters: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    timeout_seconds: float | None = None

    @property
    def target(self) -> str:
        """The path with the parameters."""
        return f"{self.path}?{urlencode(self.parameters)}" if self.parameters else self.path


class Opened(Struct):
    """An answer that is still to be read, and its connection."""

    connection: http.client.HTTPConnection
    response: http.client.HTTPResponse
    socket: socket.socket

    def hang_up(self) -> None:
        """Close the connection; whoever reads from it in another thread is told of its end."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # a close alone wakes nobody
        self.response.close()
        self.connection.close()


class Transport:
    """Asks one API; threads may share it, each has a connection of its own meanwhile."""

    def __init__(
        self,
        address: Address,
        key: Key,
        *,
        ca_file: Path | None,
        timeout_seconds: float,
        patience_seconds: float,
    ) -> None:
        if ca_file is not None and not address.is_secure:
            raise ValueError("a CA file is of use with https:// only")
        self._address = address
        self._key = key
        self._tls = ssl.create_default_context(cafile=ca_file) if address.is_secure else None
        self._timeout_seconds = timeout_seconds
        self._patience_seconds = patience_seconds
        self._idle: deque[http.client.HTTPConnection] = deque()

    def close(self) -> None:
        """Close the connections that are kept for further questions."""
        while self._idle:
            self._idle.pop().close()

    def ask(self, request: Request) -> bytes:
        """Return the body of an answer; raises a ClientError."""
        return self._patiently(lambda: self._whole(request), is_safe=request.body is None)

    def open(self, request: Request) -> Opened:
        """Return an answer that is read as it comes, asked for with patience."""
        return self._patiently(lambda: self.open_once(request), is_safe=True)

    def open_once(self, request: Request) -> Opened:
        """Return an answer that is read as it comes, on a connection of its own."""
        return self._with_newest_key(lambda: self._begin(request, self._connection()))

    def _patiently(self, ask: Callable[[], Found], *, is_safe: bool) -> Found:
        """Ask until there is an answer, or patience ends.

        What is not safe to do twice is asked again only where it was refused before it was done:
        a 503 may be the answer to a command that was sent.
        """
        patience = Patience(self._patience_seconds)
        while True:
            try:
                return ask()
            except (Unreachable, Unavailable, TooManyRequests) as error:
                if not is_safe and not isinstance(error, TooManyRequests):
                    raise
                least_seconds = getattr(error, "retry_after_seconds", None) or 0.0
                pause_seconds = patience.pause_seconds(least_seconds)
                if pause_seconds is None:
                    raise
            time.sleep(pause_seconds)

    def _with_newest_key(self, ask: Callable[[], Found]) -> Found:
        try:
            return ask()
        except KeyWanted:
            if not self._key.renew():
                raise
        return ask()

    def _whole(self, request: Request) -> bytes:
        opened = self._with_newest_key(lambda: self._begin_on_kept(request))
        try:
            body = opened.response.read(_MOST_ANSWER_BYTES + 1)
            if opened.response.length and len(body) <= _MOST_ANSWER_BYTES:
                raise http.client.IncompleteRead(body, opened.response.length)
        except (OSError, http.client.HTTPException) as error:
            opened.connection.close()
            raise self._unreachable(error) from error
        if len(body) > _MOST_ANSWER_BYTES:
            opened.connection.close()
            raise NotUnderstood(f"an answer of more than {_MOST_ANSWER_BYTES} bytes")
        if not opened.response.will_close:
            self._idle.append(opened.connection)
        return body

    def _begin_on_kept(self, request: Request) -> Opened:
        """Ask on a connection that is kept, or on a new one where that has been closed since."""
        while request.body is None and self._idle:
            try:
                return self._begin(request, self._idle.pop())
            except IndexError:
                break  # another thread was faster
            except Unreachable as error:
                if isinstance(error.__cause__, TimeoutError):
                    raise
        return self._begin(request, self._connection())

    def _connection(self) -> http.client.HTTPConnection:
        address, timeout = self._address, self._timeout_seconds
        if self._tls is None:
            return http.client.HTTPConnection(address.host, address.port, timeout=timeout)
        return http.client.HTTPSConnection(
            address.host, address.port, timeout=timeout, context=self._tls
        )

    def _begin(self, request: Request, connection: http.client.HTTPConnection) -> Opened:
        try:
            connection.request(
                "GET" if request.body is None else "POST",
                self._address.path + request.target,
                body=request.body,
                headers=self._headers(request),
            )
            raw: socket.socket = (
                connection.sock
            )  # the connection lets go of it where the answer is the last
            raw.settimeout(request.timeout_seconds or self._timeout_seconds)
            response = connection.getresponse()
            if response.status == http.client.OK:
                return Opened(connection, response, raw)
            refusal = response.read(_MOST_PROBLEM_BYTES)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._unreachable(error) from error
        connection.close()
        if response.status < http.client.BAD_REQUEST:
            raise NotUnderstood(f"{request.path} answers {response.status}: is this the API?")
        raise problem_of(response.status, response.headers, refusal)

    def _headers(self, request: Request) -> dict[str, str]:
        content = {} if request.body is None else {"Content-Type": JSON}
        return {
            "Accept": JSON,
            "User-Agent": f"denyut-client/{__version__}",
            **content,
            **self._key.headers,
            **request.headers,
        }

    def _unreachable(self, error: Exception) -> Unreachable:
        address = self._address
        where = f"{address.host}:{address.port}" if address.port else address.host
        return Unreachable(f"{where}: {str(error) or type(error).__name__}")
