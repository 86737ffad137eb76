"""Appending to a file so that what was written is on the disk, or nothing of it is."""

import os
from contextlib import suppress
from pathlib import Path


def append_durably(path: Path, data: bytes) -> None:
    """Append and sync; a file that is new is synced into its folder as well.

    Raises OSError, as when the disk is full; then the file is as long as it was before.
    """
    is_new = not path.exists()
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:])
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(before)
            raise
    if is_new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a file that was made in it is found after a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
