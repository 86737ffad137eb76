"""The working folder of one local stack: secrets, logs and state, removed when it ends.

It stands in the system's temporary folder and not below the caller's, because Mosquitto runs as a
user of its own, which must be able to pass through every folder above its files.
"""

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from telemetry.private_files import give, write_private

_PREFIX = "denyut-stack-"
_LOCK = ".lock"
# A folder this young may belong to a stack that has not locked it yet.
_ABANDONED_AFTER_SECONDS = 60


class Workspace:
    """A folder tree that others may pass through but not list; `secrets` is only ours."""

    def __init__(self) -> None:
        root = _temporary_folder()
        _remove_abandoned(root)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root))
        self._lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self.folder.chmod(0o711)
        self.secrets = self.subfolder("secrets")
        self.logs = self.subfolder("logs")

    def subfolder(self, name: str, *, owner: str | None = None) -> Path:
        """Make a folder, at most once, that only its owner (a user's name; None: we) can read."""
        folder = self.folder / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        give(folder, owner)
        return folder

    def secret(self, name: str, text: str) -> Path:
        """Write a secret to a file of its own and return its path."""
        return write_private(self.secrets / name, text)

    def close(self) -> None:
        """Remove the folder and all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)


def _temporary_folder() -> Path:
    chosen = Path(tempfile.gettempdir()).resolve()
    is_open = all(folder.stat().st_mode & 0o001 for folder in (chosen, *chosen.parents))
    return chosen if is_open or os.geteuid() != 0 else Path("/tmp")  # noqa: S108


def _remove_abandoned(root: Path) -> None:
    # What a killed process could not remove itself. Its lock went with it.
    for folder in root.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            if time.time() - os.fstat(lock).st_mtime > _ABANDONED_AFTER_SECONDS:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(lock)
