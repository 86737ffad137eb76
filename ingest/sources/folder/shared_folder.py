"""The shared folder itself: what waits in it, claiming by a rename, removing and giving back.

A claimed file is `claimed/CLIENT_ID/TIME.NAME`, TIME being when it was claimed, in nanoseconds.
Every path is taken from a descriptor of its folder, and no link is followed: what is no regular
file, or has another name than `NAME.ndjson`, is not opened and stays where it is.
"""

import os
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import Literal

from msgspec import Struct

from ingest.sources.folder.claimed_file import ClaimedFile, is_taken, open_file
from ingest.sources.folder.holding import CLAIMED, Holding

PassedOver = Literal["unfinished", "name", "kind", "unreadable"]
PASSED_OVER: tuple[PassedOver, ...] = ("unfinished", "name", "kind", "unreadable")

_CLAIM = re.compile(r"^\d{20}\.", re.ASCII)
# What was given back has its claim's name.
_NAME = re.compile(r"(\d{20}\.)?[A-Za-z0-9][A-Za-z0-9_.:-]{0,199}\.ndjson", re.ASCII)
_MOST_FILES = 100  # claimed by one call, however small they are


class Seen(Struct, frozen=True):
    """What a look found: the first names of what waits, in order, and what is passed over."""

    names: list[str]
    waiting: int
    passed_over: dict[PassedOver, int]
    is_full: bool


class SharedFolder:
    """One ingest's hold of the folder. Its methods block, so they are called in threads.

    Every one raises OSError, as when the folder is away.
    """

    def __init__(self, path: Path, client_id: str) -> None:
        self._path = path
        self._client_id = client_id
        self._guard = threading.Lock()
        self._holding: Holding | None = None
        self._last_claim_ns = 0
        self._unreadable = 0  # since the last look

    def open(self) -> None:
        """Hold the folder, and what this client id has claimed; raises FolderInUse."""
        with self._guard:
            self._let_go()
            self._holding = Holding(self._path, self._client_id)

    def close(self) -> None:
        """Let the folder go."""
        with self._guard:
            self._let_go()

    def look(self, most: int) -> Seen:
        """Return what waits in the folder, and of its names the first so many."""
        with self._guard:
            held = self._held
            held.check()
            seen = _look(held.root, most)
            seen.passed_over["unreadable"], self._unreadable = self._unreadable, 0
            return seen

    def claim(self, names: deque[str], enough_bytes: int) -> list[ClaimedFile]:
        """Claim files by their names, and read so many bytes of them; of the last may be more left.

        The names that were tried are taken from `names`; what another has claimed is left out.
        """
        claimed: list[ClaimedFile] = []
        left = enough_bytes
        with self._guard:
            while names and left > 0 and len(claimed) < _MOST_FILES:
                file = self._claim(self._held, names.popleft())
                if file is not None:
                    file.begin(left)
                    left -= len(file.beginning)
                    claimed.append(file)
        return claimed

    def claims(self) -> list[str]:
        """Return what is claimed for this client id, oldest first."""
        with self._guard:
            self._held.check()
            with os.scandir(self._held.own) as entries:
                return sorted(entry.name for entry in entries if is_claim(entry.name))

    def open_claim(self, claim: str, enough_bytes: int) -> ClaimedFile | None:
        """Open what was claimed before, and begin to read it; None where it is no file to read."""
        with self._guard:
            try:
                descriptor = open_file(claim, self._held.own)
            except FileNotFoundError:
                return None
        if descriptor is None:
            return None
        file = ClaimedFile(claim, descriptor)
        file.begin(enough_bytes)
        return file

    def remove(self, files: Iterable[ClaimedFile]) -> list[ClaimedFile]:
        """Remove files that are durable elsewhere; return those that have grown since, and stay."""
        grown = []
        with self._guard:
            for file in files:
                # Gone is gone, whoever it was.
                with suppress(FileNotFoundError):
                    found = os.stat(file.claim, dir_fd=self._held.own, follow_symlinks=False)
                    if found.st_size != file.size:
                        grown.append(file)
                    else:
                        os.unlink(file.claim, dir_fd=self._held.own)
        return grown

    def give_back(self) -> int:
        """Let another ingest, or this one again, claim what is claimed here; return how many files.

        They keep their claims' names: what was written meanwhile under their own stays as it is.
        """
        given = 0
        for claim in self.claims():
            with self._guard, suppress(FileNotFoundError):
                held = self._held
                os.rename(claim, claim, src_dir_fd=held.own, dst_dir_fd=held.root)
                given += 1
        return given

    @property
    def _held(self) -> Holding:
        if self._holding is None:
            raise OSError(f"{self._path} is not held")
        return self._holding

    def _let_go(self) -> None:
        if self._holding is not None:
            self._holding.close()
            self._holding = None

    def _claim(self, held: Holding, name: str) -> ClaimedFile | None:
        try:
            descriptor = open_file(name, held.root)
        except FileNotFoundError:
            return None  # another has it
        except PermissionError:
            self._unreadable += 1
            return None
        if descriptor is None:
            return None
        self._last_claim_ns = max(time.time_ns(), self._last_claim_ns + 1)
        claim = f"{self._last_claim_ns:020d}.{_CLAIM.sub('', name, count=1)}"
        file = ClaimedFile(claim, descriptor)
        try:
            os.rename(name, claim, src_dir_fd=held.root, dst_dir_fd=held.own)
            moved = os.stat(claim, dir_fd=held.own, follow_symlinks=False)
        except FileNotFoundError:
            file.close()
            return None
        except BaseException:
            file.close()
            raise
        if os.path.samestat(moved, os.fstat(descriptor)):
            return file
        # Somebody put another file there meanwhile: it is claimed, and read when claims are.
        file.close()
        return None


def list_waiting(path: Path) -> Seen:
    """Return what waits in a folder that nobody holds, and its first name. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _look(descriptor, 1)
    finally:
        os.close(descriptor)


def is_claim(name: str) -> bool:
    """Tell whether a name is a claimed file's."""
    return _CLAIM.match(name) is not None


def _look(folder: int, most: int) -> Seen:
    waiting = _Waiting(folder)
    names = nsmallest(most, waiting)
    return Seen(names, waiting.count, waiting.passed_over, _is_full(folder))


class _Waiting:
    """The names of what waits in a folder; while they are read, all that is there is counted."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self.count = 0
        self.passed_over = dict.fromkeys(PASSED_OVER, 0)

    def __iter__(self) -> Iterator[str]:
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name == CLAIMED:
                    continue
                # What is gone when it is asked for was claimed by another.
                with suppress(FileNotFoundError):
                    why = _why_passed_over(entry)
                    if why is None:
                        self.count += 1
                        yield entry.name
                    else:
                        self.passed_over[why] += 1


def _why_passed_over(entry: os.DirEntry[str]) -> PassedOver | None:
    if entry.name.endswith(".part"):
        return "unfinished"
    if not _NAME.fullmatch(entry.name):
        return "name"
    return None if is_taken(entry.stat(follow_symlinks=False)) else "kind"


def _is_full(folder: int) -> bool:
    space = os.fstatvfs(folder)
    # Some file systems do not say how much there is.
    return space.f_blocks > 0 and space.f_bavail == 0
