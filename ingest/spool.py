"""The spool: batches on the disk while the store is away, in one folder, given back in order."""

import fcntl
import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from ingest.durable import append_durably, make_folder, sync_folder
from ingest.spool_segment import (
    HEADING,
    SUFFIX,
    Record,
    encode_record,
    read_gap,
    read_record,
    records,
)

_LOCK = ".lock"
_SEGMENT_BYTES = 16_000_000


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


class _Segment:
    """A segment in use: how far it was given back, and how many readings of it are left."""

    def __init__(self, path: Path, size: int = 0, readings: int = 0) -> None:
        self.path = path
        self.size = size
        self.readings = readings
        self.position = len(HEADING)


class Spool:
    """The folder, held by one process, and its budget in bytes.

    Its methods block, so they are called in threads, which may share it. Every one raises OSError.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._budget_bytes = budget_bytes
        self._guard = threading.Lock()
        self._segments: deque[_Segment] = deque()
        self._writing: _Segment | None = None
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
            known = {segment.path for segment in self._segments}
            new = [
                _Segment(path, path.stat().st_size, sum(one.readings for one in records(path)))
                for path in segments(self._folder)
                if path not in known
            ]
            self._segments.extend(new)
            self.bytes += sum(segment.size for segment in new)
        return sum(segment.readings for segment in new)

    def append(self, lines: bytes, by_qos: tuple[int, int, int]) -> None:
        """Write a record and sync it; SpoolFull, or OSError and nothing kept, where that fails."""
        data = encode_record(lines, by_qos)
        with self._guard:
            if self.bytes + len(data) > self._budget_bytes:
                raise SpoolFull(
                    f"the spool holds {self.bytes} of {self._budget_bytes} bytes: no room for more"
                )
            if self._writing is None or self._writing.size >= _SEGMENT_BYTES:
                self._writing = self._new_segment()
            self._append(self._writing, data)
            self._writing.readings += sum(by_qos)

    def oldest(self) -> Record | None:
        """Return the oldest record that was not removed, or None.

        What is no record, and a segment that somebody took away, come as one that is not whole.
        """
        with self._guard:
            while self._segments:
                record = _read(self._segments[0])
                if record is not None:
                    return record
                self._finish_oldest()
        return None

    def oldest_together(self, most_readings: int) -> list[Record]:
        """Return the oldest records of one segment that one write takes: small ones, together.

        As far as they are whole and have no more than so many readings; at least one if there is
        any. They are removed one by one, in their order.
        """
        first = self.oldest()
        if first is None or not first.is_whole:
            return [] if first is None else [first]
        found, readings = [first], first.readings
        with self._guard, suppress(FileNotFoundError):
            while (record := read_record(first.path, found[-1].end)) is not None:
                readings += record.readings
                if not record.is_whole or readings > most_readings:
                    break
                found.append(record)
        return found

    def remove(self, record: Record) -> None:
        """Give up the oldest record: it is kept elsewhere now."""
        with self._guard:
            segment = self._segments[0]
            segment.position = record.end
            segment.readings -= record.readings
            if segment.position >= segment.size:
                self._finish_oldest()

    def hand_on(self, folder: Path) -> int:
        """Move all segments to another ingest's spool folder; return how many readings they hold.

        That one takes them over while it runs. Both folders are on one file system.
        """
        with self._guard:
            self._writing = None
            make_folder(folder)
            moved = 0
            while self._segments:
                segment = self._segments[0]
                segment.path.rename(_free_name(folder, segment.path.name))
                self._segments.popleft()
                self.bytes -= segment.size
                moved += segment.readings
            sync_folder(folder)
        return moved

    def close(self) -> None:
        """Let the folder go."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _new_segment(self) -> _Segment:
        segment = _Segment(_free_name(self._folder, f"{time.time_ns():020d}{SUFFIX}"))
        self._append(segment, HEADING)
        self._segments.append(segment)
        return segment

    def _append(self, segment: _Segment, data: bytes) -> None:
        try:
            append_durably(segment.path, data)
        except OSError:
            # Nothing may follow what could not be taken back: it would be unreadable.
            if segment is self._writing and _size(segment.path) != segment.size:
                self._writing = None
            raise
        segment.size += len(data)
        self.bytes += len(data)

    def _finish_oldest(self) -> None:
        segment = self._segments[0]
        segment.path.unlink(missing_ok=True)
        self._segments.popleft()
        self.bytes -= segment.size
        if segment is self._writing:
            self._writing = None


def _read(segment: _Segment) -> Record | None:
    """Return the next record of a segment; None where it has no more, or a torn end only.

    One that was never written whole was never acknowledged; what was, is not passed over in silence
    where it cannot be read.
    """
    start = segment.position
    try:
        record = read_record(segment.path, start)
        if record is None and start < segment.size:
            record = read_gap(segment.path, start)
            if record is not None:
                behind = sum(one.readings for one in records(segment.path, record.end))
                lost = max(segment.readings - behind, 0)
                record = msgspec.structs.replace(record, by_qos=(0, 0, lost))
    except FileNotFoundError:
        record = None
    if record is None and segment.readings > 0:
        left = (0, 0, segment.readings)
        return Record(segment.path, start, segment.size, left, b"", is_whole=False)
    return record


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _free_name(folder: Path, name: str) -> Path:
    """Return a path that is not taken, in the order of time all the same."""
    path = folder / name
    while path.exists():
        path = folder / f"{int(path.stem) + 1:020d}{SUFFIX}"
    return path


def segments(folder: Path) -> list[Path]:
    """Return the segments of a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def list_segments(folder: Path) -> list[Found]:
    """Return what each segment of a folder holds, also while an ingest uses it."""
    found = []
    for path in segments(folder):
        with suppress(FileNotFoundError):  # given back while we look
            held = list(records(path))
            readings = sum(record.readings for record in held)
            found.append(Found(path, len(held), readings, path.stat().st_size))
    return found
