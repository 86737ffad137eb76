"""Holding a shared folder: descriptors of its folders, and a lock on one client id's claims."""

import fcntl
import os
from pathlib import Path

CLAIMED = "claimed"
LOCK_NAME = ".lock"

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FOLDER_MODE = 0o770


class FolderInUse(Exception):
    """Raised when another process has the claims of this client id."""


class Holding:
    """Descriptors of the folder (`root`) and of what a client id has claimed there (`own`).

    Raises OSError and FolderInUse. The folder itself is never made: what stands in the place of a
    volume that is not mounted is not that volume.
    """

    def __init__(self, path: Path, client_id: str) -> None:
        self._path = path
        self._own_path = f"{CLAIMED}/{client_id}"
        self._open: list[int] = []
        try:
            # The folder's own path may be a link; what is in it is other people's.
            self.root = self._keep(os.open(path, _FOLDER))
            claimed = self._keep(_open_or_make(CLAIMED, self.root))
            self.own = self._keep(_open_or_make(client_id, claimed))
            self._lock(client_id)
        except BaseException:
            self.close()
            raise

    def check(self) -> None:
        """Raise OSError where the folder is not at its path any more, or the claims in theirs."""
        if not os.path.samestat(self._path.stat(), os.fstat(self.root)):
            raise OSError(f"another folder stands at {self._path} now")
        # Into one that was removed every claim would fail, as if others had been faster.
        own = os.stat(self._own_path, dir_fd=self.root, follow_symlinks=False)
        if not os.path.samestat(own, os.fstat(self.own)):
            raise OSError(f"another folder stands at {self._path / self._own_path} now")

    def close(self) -> None:
        """Let all of it go."""
        while self._open:
            os.close(self._open.pop())

    def _keep(self, descriptor: int) -> int:
        self._open.append(descriptor)
        return descriptor

    def _lock(self, client_id: str) -> None:
        how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = self._keep(os.open(LOCK_NAME, how, 0o600, dir_fd=self.own))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FolderInUse(
                f"{self._path}: an ingest with the client id {client_id} has it"
            ) from None


def _open_or_make(name: str, folder: int) -> int:
    try:
        return _open_folder(name, folder)
    except FileNotFoundError:
        os.mkdir(name, _FOLDER_MODE, dir_fd=folder)
        return _open_folder(name, folder)


def _open_folder(name: str, folder: int) -> int:
    return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
