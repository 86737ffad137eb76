"""What ingests have claimed in a shared folder, whether they run, and handing it back for them."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from ingest.sources.folder.holding import CLAIMED, LOCK_NAME
from ingest.sources.folder.shared_folder import SharedFolder, is_claim


class Claimant(Struct, frozen=True):
    """An ingest that has been at the folder: how many files it has claimed, and whether it runs."""

    client_id: str
    files: int
    runs: bool


def claimants(folder: Path) -> Iterator[Claimant]:
    """Yield what each ingest has claimed. Raises OSError."""
    if not (folder / CLAIMED).is_dir():
        return
    for own in sorted((folder / CLAIMED).iterdir()):
        if own.is_dir() and not own.is_symlink():
            files = sum(is_claim(path.name) for path in own.iterdir())
            yield Claimant(own.name, files, _is_held(own / LOCK_NAME))


def release(folder: Path, client_id: str) -> int:
    """Let other ingests claim what a gone one had claimed; return how many files these are.

    Raises OSError, and FolderInUse where it runs.
    """
    if not (folder / CLAIMED / client_id).is_dir():
        return 0
    shared = SharedFolder(folder, client_id)
    shared.open()
    try:
        return shared.give_back()
    finally:
        shared.close()


def _is_held(lock: Path) -> bool:
    with suppress(FileNotFoundError):
        descriptor = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            # Shared, so that two who look do not see each other.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
    return False
