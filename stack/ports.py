"""Ports for the parts of a stack, each held by a lock so that two stacks never share one.

They lie below the range from which the kernel gives ports to outgoing connections (32768 on
Linux), so that no connection of ours takes the port of a broker that is being restarted.
"""

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

from stack import StackError

FIRST_PORT, LAST_PORT = 20_000, 29_999


class PortTaken(StackError):
    """Raised when a wanted port is in use, or none of the range is free."""


class PortReservation:
    """A port that is ours until `release`, or until this process ends."""

    def __init__(self, port: int, lock: int) -> None:
        self.port = port
        self._lock: int | None = lock

    def release(self) -> None:
        """Let others have the port."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def reserve_port(host: str = "127.0.0.1") -> PortReservation:
    """Reserve a port on which nothing listens; PortTaken where none of the range is left."""
    folder = _lock_folder()
    for port in random.sample(range(FIRST_PORT, LAST_PORT + 1), LAST_PORT + 1 - FIRST_PORT):
        lock = _try_lock(folder / str(port))
        if lock is None:
            continue
        if is_free(host, port):
            return PortReservation(port, lock)
        os.close(lock)
    raise PortTaken(f"no port between {FIRST_PORT} and {LAST_PORT} is free")


def require_free(host: str, port: int, option: str) -> None:
    """Raise PortTaken, naming the command-line option to change, where something listens."""
    if not is_free(host, port):
        raise PortTaken(f"port {port} is taken: stop what uses it, or choose another by {option}")


def is_free(host: str, port: int) -> bool:
    """Return whether a server could listen on the port now."""
    with socket.socket() as listener:
        # As servers do: connections of an earlier one in TIME_WAIT are no hindrance.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
            listener.listen()
        except OSError:
            return False
    return True


def _lock_folder() -> Path:
    folder = Path(tempfile.gettempdir(), f"denyut-ports-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    # The temporary folder is everybody's: do not follow what somebody else put there.
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PortTaken(f"{folder} belongs to another user: remove it")
    return folder


def _try_lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
