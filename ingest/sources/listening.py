"""Sockets on which ingest listens: where they are, and how they are opened, watched and closed."""

import asyncio
import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from ingest.backoff import Backoff
from telemetry import log
from telemetry.settings import SettingError

_BACKLOG = 4_096
_MODE = 0o660  # who is not of the file's group does not even reach the socket
_MOST_PATH_BYTES = 107  # of a socket's address, sun_path
_MOST_PORT = 65_535
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_LOOK_SECONDS = 2.0  # after which a file that is gone is missed
_logger = log.get(__name__)


class Place(Protocol):
    """Where a socket can be opened; as a text it is the setting that says so."""

    def open(self) -> socket.socket:
        """Return a socket that does not block, bound there; a stream's listens. Raises OSError."""
        ...

    def is_there(self) -> bool:
        """Tell whether who looks for it there would find what `open` has returned."""
        ...

    def remove(self) -> None:
        """Take away what `open` has left in the file system."""
        ...


class NetworkPlace(Struct, frozen=True):
    """A host and port, for TCP or UDP."""

    host: str
    port: int
    kind: socket.SocketKind
    variable: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.variable}={host}:{self.port}"

    @classmethod
    def parse(cls, variable: str, text: str, kind: socket.SocketKind) -> "NetworkPlace":
        """Read `host:port` or `[address]:port`; SettingError names the variable."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not (port.isascii() and port.isdigit()) or int(port) > _MOST_PORT:
            raise SettingError(f"{variable}={text!r}: host:port or [address]:port is allowed")
        return cls(host, int(port), kind, variable)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def open(self) -> socket.socket:
        """Return the bound socket; of the Place protocol."""
        found = socket.getaddrinfo(
            self.host, self.port, type=self.kind, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
        family, kind, protocol, _name, address = found[0]
        made = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
        try:
            if kind == socket.SOCK_STREAM:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            if kind == socket.SOCK_STREAM:
                made.listen(_BACKLOG)
        except OSError:
            made.close()
            raise
        return made

    def is_there(self) -> bool:
        """A port is nobody else's as long as it is ours."""
        return True

    def remove(self) -> None:
        """A port leaves nothing behind."""


class SocketFile:
    """A Unix socket: a file that its user and its group may write to, and that we take away again.

    What a process that has died left there is replaced; what is no socket, or one that a process
    still has open, is not touched.
    """

    def __init__(self, variable: str, path: str, kind: socket.SocketKind) -> None:
        if len(os.fsencode(path)) > _MOST_PATH_BYTES:
            raise SettingError(f"{variable}={path!r}: a path of up to {_MOST_PATH_BYTES} bytes")
        self._variable = variable
        self._path = Path(path)
        self._kind = kind
        self._made: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self._variable}={self._path}"

    def open(self) -> socket.socket:
        """Return the bound socket; of the Place protocol."""
        self._remove_stale()
        made = socket.socket(socket.AF_UNIX, self._kind | socket.SOCK_NONBLOCK)
        try:
            # The file is made with the socket's own mode: nobody gets in before it is narrowed.
            os.fchmod(made.fileno(), _MODE)
            made.bind(str(self._path))
            self._path.chmod(_MODE)  # whatever the umask took away
            self._made = _identity(self._path.lstat())
            if self._kind == socket.SOCK_STREAM:
                made.listen(_BACKLOG)
        except OSError:
            made.close()
            self.remove()
            raise
        return made

    def is_there(self) -> bool:
        """Tell whether the file is still the one that we made."""
        try:
            return self._made is not None and _identity(self._path.lstat()) == self._made
        except OSError:
            return False

    def remove(self) -> None:
        """Remove the file, if it is still the one that we made."""
        if self.is_there():
            with suppress(FileNotFoundError):
                self._path.unlink()
        self._made = None

    def _remove_stale(self) -> None:
        try:
            found = self._path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(found.st_mode):
            raise OSError(errno.EEXIST, "is no socket, and stays as it is", str(self._path))
        with socket.socket(socket.AF_UNIX, self._kind | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(str(self._path))
            except ConnectionRefusedError:
                self._path.unlink()
                return
            except OSError as error:
                why = error.strerror
            else:
                why = "another process has it open"
        raise OSError(errno.EADDRINUSE, why, str(self._path))


class WatchedSocket:
    """A socket that is opened as soon as it can be; `on_readable` is called while it has something.

    `prepare` is called with it when it is open. `problem` says why it is not: its place may be
    another process's still.
    """

    def __init__(
        self,
        place: Place,
        on_readable: Callable[[socket.socket], None],
        prepare: Callable[[socket.socket], None] = lambda _opened: None,
    ) -> None:
        self._place = place
        self._on_readable = on_readable
        self._prepare = prepare
        self._socket: socket.socket | None = None
        self._is_watched = True
        self._is_closed = False
        self.problem: str | None = "not open yet"

    @property
    def address(self) -> Any:
        """Where it is, as the socket module tells; None while it is not open."""
        return None if self._socket is None else self._socket.getsockname()

    async def run(self) -> None:
        """Open it, again should its file go, and keep it open until cancelled or closed."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        try:
            while not self._is_closed:
                if self._socket is None and not self._try_to_open():
                    await asyncio.sleep(backoff.next_seconds())
                    continue
                backoff.reset()
                await asyncio.sleep(_LOOK_SECONDS)
                if not self._place.is_there():
                    self._let_go()
            await asyncio.Event().wait()
        finally:
            self.close()

    def watch(self, watched: bool) -> None:
        """Be told of what comes, or leave it where it is."""
        self._is_watched = watched
        if self._socket is None:
            return
        loop = asyncio.get_running_loop()
        if watched:
            loop.add_reader(self._socket, self._on_readable, self._socket)
        else:
            loop.remove_reader(self._socket)

    def read_once(self) -> None:
        """Take what is there now, as if the loop had told of it."""
        if self._socket is not None and self._is_watched:
            self._on_readable(self._socket)

    def close(self) -> None:
        """Close it for good, and take away its file."""
        self._is_closed = True
        self.problem = None
        if self._socket is not None:
            self._close(self._socket)

    def _let_go(self) -> None:
        """Close one that nobody finds any more, with what had come until then."""
        if self._socket is None:
            return
        _logger.warning("a socket's file is gone, and made anew", place=str(self._place))
        self.read_once()
        self._close(self._socket)

    def _close(self, opened: socket.socket) -> None:
        asyncio.get_running_loop().remove_reader(opened)
        opened.close()
        self._socket = None
        self._place.remove()

    def _try_to_open(self) -> bool:
        try:
            self._socket = self._place.open()
        except OSError as error:
            problem = f"{self._place}: {error.strerror or error}"
            if self.problem != problem:
                _logger.error("a socket cannot be opened", problem=problem)
            self.problem = problem
            return False
        self.problem = None
        self._prepare(self._socket)
        self.watch(self._is_watched)
        _logger.info("listening", place=str(self._place), address=str(self.address))
        return True


def warn_of_plaintext(place: NetworkPlace, variable: str) -> None:
    """Say in the log what to do where keys would travel readable beyond this machine."""
    if not place.is_loopback:
        _logger.warning(
            "without TLS who is on the way can read keys and readings, and send with these keys: "
            f"set {variable}_CERTIFICATE_FILE and {variable}_KEY_FILE, or listen on 127.0.0.1, "
            "unless the network is yours alone",
            place=str(place),
        )


def _identity(found: os.stat_result) -> tuple[int, int]:
    return found.st_dev, found.st_ino
