"""Files and folders that are on the disk when a call returns, or as they were before."""

import os
from contextlib import suppress
from pathlib import Path


def append_durably(path: Path, data: bytes) -> None:
    """Append and sync; a file that was not there is synced into its folder as well.

    Raises OSError, as when the disk is full; then the file is as long as it was before, and one
    that was not there is gone again.
    """
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        try:
            written = 0
            while written < len(data):
                written += file.write(data[written:])
            os.fsync(file.fileno())
            if before == 0:
                sync_folder(path.parent)
        except OSError:
            with suppress(OSError):
                file.truncate(before)
                if before == 0:
                    path.unlink()
            raise


def replace_durably(path: Path, data: bytes) -> None:
    """Write a file anew, all at once: after a crash it holds the old or the new. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each synced into its own. Raises OSError."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that a file that was made in it is found after a crash."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
