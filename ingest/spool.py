"""The spool: batches on the disk while the store is away, in one folder, given back in order."""

import fcntl
import os
import threading
import time
from collections import deque
from pathlib import Path

from msgspec import Struct

from ingest.durable import append_durably, make_folder, sync_folder
from ingest.spool_segment import (
    HEADING,
    SUFFIX,
    Record,
    encode_record,
    has_record,
    read_record,
    records,
)

_LOCK = ".lock"
_SEGMENT_BYTES = 16_000_000
_DAMAGED = ".damaged"


class SpoolInUse(Exception):
    """Raised when another process holds the folder."""


class SpoolFull(Exception):
    """Raised when a record would exceed the disk budget."""


class Found(Struct, frozen=True):
    """What one segment holds, for a list."""

    path: Path
    records: int
    readings: int
    bytes: int


class Spool:
    """The folder, held by one process, and its budget in bytes.

    Its methods block, so they are called in threads, which may share it. Every one raises OSError.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._guard = threading.Lock()
        self._segments: deque[Path] = deque()
        self._position = len(HEADING)  # of the oldest segment: what stands before is given back
        self._writing: Path | None = None
        self._lock_file: int | None = None
        self.bytes = 0

    def open(self) -> int:
        """Lock the folder; return how many readings an earlier process left. Raises SpoolInUse."""
        make_folder(self._folder)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise SpoolInUse(f"{self._folder} is in use by another ingest") from None
        self._lock_file = lock
        return self.take_over()

    def take_over(self) -> int:
        """Take in segments that were left or handed on; return how many readings are in them."""
        with self._guard:
            known = set(self._segments)
            new = [path for path in segments(self._folder) if path not in known]
            self._segments.extend(new)
            self.bytes += sum(path.stat().st_size for path in new)
        return sum(record.readings for path in new for record in records(path))

    def append(self, lines: bytes, by_qos: tuple[int, int, int]) -> None:
        """Write a record and sync it; SpoolFull, or OSError and nothing kept, where that fails."""
        data = encode_record(lines, by_qos)
        with self._guard:
            if self.bytes + len(data) > self._budget_bytes:
                raise SpoolFull(
                    f"the spool holds {self.bytes} of {self._budget_bytes} bytes: no room for more"
                )
            if self._writing is None or self._writing.stat().st_size >= _SEGMENT_BYTES:
                self._writing = self._new_segment()
            append_durably(self._writing, data)
            self.bytes += len(data)

    def oldest(self, most_readings: int) -> list[Record]:
        """Return the oldest records that were not removed, of one segment, as one write takes.

        At least one where there is any, and no more than so many readings otherwise.
        """
        with self._guard:
            while self._segments:
                found = self._read(most_readings)
                if found:
                    return found
                self._finish_oldest()
        return []

    def remove(self, given_back: list[Record]) -> None:
        """Give up the oldest records: they are kept elsewhere now."""
        last = given_back[-1]
        with self._guard:
            self._position = last.end
            if not has_record(last.path, last.end):
                self._finish_oldest()

    def hand_on(self, folder: Path) -> int:
        """Move all segments to another ingest's spool folder; return how many readings they hold.

        That one takes them over while it runs. Both folders are on one file system.
        """
        with self._guard:
            self._writing = None
            moved = sum(record.readings for path in self._segments for record in records(path))
            make_folder(folder)
            while self._segments:
                path = self._segments.popleft()
                path.rename(folder / path.name)
            sync_folder(folder)
            self.bytes, self._position = 0, len(HEADING)
        return moved

    def close(self) -> None:
        """Let the folder go."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _read(self, most_readings: int) -> list[Record]:
        found: list[Record] = []
        position, readings = self._position, 0
        while (record := read_record(self._segments[0], position)) is not None:
            readings += record.readings
            if found and readings > most_readings:
                break
            found.append(record)
            position = record.end
        return found

    def _new_segment(self) -> Path:
        path = self._folder / f"{time.time_ns():020d}{SUFFIX}"
        append_durably(path, HEADING)
        self._segments.append(path)
        self.bytes += len(HEADING)
        return path

    def _finish_oldest(self) -> None:
        path = self._segments.popleft()
        if path == self._writing:
            self._writing = None
        self.bytes -= path.stat().st_size
        if _has_more(path, self._position):
            # A torn end was never acknowledged; what looks like more than that is kept to look at.
            path.rename(path.with_suffix(_DAMAGED))
        else:
            path.unlink()
        self._position = len(HEADING)


def segments(folder: Path) -> list[Path]:
    """Return the segments of a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def list_segments(folder: Path) -> list[Found]:
    """Return what each segment of a folder holds, also while an ingest uses it."""
    found = []
    for path in segments(folder):
        held = list(records(path))
        readings = sum(record.readings for record in held)
        found.append(Found(path, len(held), readings, path.stat().st_size))
    return found


def _has_more(path: Path, position: int) -> bool:
    """Tell whether another record begins behind a place where none can be read."""
    with path.open("rb") as file:
        file.seek(position + 1)
        return b"\n# record " in file.read()
