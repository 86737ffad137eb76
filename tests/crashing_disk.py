"""A disk that forgets, at a crash, what was not synced; and that can be full.

It stands in for `os.fsync` above real files: it notes how long each file was, and what each folder
held, when they were synced.
"""

import os
import shutil
from collections.abc import Iterator
from errno import ENOSPC
from pathlib import Path


class CrashingDisk:
    """The folder below which it forgets; `full` are folders in which nothing can be synced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lengths: dict[Path, int] = {}
        self._entries: dict[Path, set[str]] = {}
        self.full: set[Path] = set()

    def fsync(self, descriptor: int) -> None:
        """Stand in for `os.fsync`."""
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path.is_dir():
            self._entries[path] = {entry.name for entry in path.iterdir()}
            return
        if path.parent in self.full:
            raise OSError(ENOSPC, "No space left on device")
        self._lengths[path] = os.fstat(descriptor).st_size

    def durable(self, folder: Path, suffix: str) -> Iterator[bytes]:
        """Yield what each file of a folder would hold after a crash."""
        for name in sorted(self._entries.get(folder, set())):
            path = folder / name
            if name.endswith(suffix) and path in self._lengths:
                try:
                    yield path.read_bytes()[: self._lengths[path]]
                except FileNotFoundError:
                    continue

    def crash(self, torn: bytes = b"") -> None:
        """Forget what was not synced; `torn` stays behind the newest file of each folder."""
        for folder in [path for path in self._folder.iterdir() if path.is_dir()]:
            if folder.name not in self._entries.get(self._folder, set()):
                shutil.rmtree(folder)
                continue
            files = sorted(path for path in folder.iterdir() if path.suffix)
            for path in files:
                if path.name in self._entries.get(folder, set()) and path in self._lengths:
                    os.truncate(path, self._lengths[path])
                else:
                    path.unlink()
            kept = [path for path in files if path.exists()]
            if kept:
                with kept[-1].open("ab") as file:
                    file.write(torn)
