"""The quarantine: what cannot be stored, kept on the disk with its reason until a person looks.

Segments of JSON lines in one folder. A record is `{"time_ms", "topic", "qos", "reason", "payload",
"content_type", "index", "devices"}`, the payload in base64, as it may be anything.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from ingest.durable import append_durably, make_folder

SUFFIX = ".jsonl"
_SEGMENTS = 8  # the budget is cut into so many files, of which the oldest goes when it is spent
_LOCK = ".lock"


class QuarantineRecord(Struct, frozen=True):
    """One message, or one reading of a pack (`index`), that was not stored, and why.

    Without a topic the payload names its own address. `devices` are those that its sender might
    write for, where that is limited: a replay lets it write for no others.
    """

    time_ms: int
    topic: str | None
    qos: int
    reason: str
    payload: bytes
    content_type: str | None = None
    index: int | None = None
    devices: tuple[str, ...] | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(QuarantineRecord)


class Quarantine:
    """The folder and its budget in bytes; its methods block, so they are called in a thread.

    Several processes may use one folder, as a person's replay beside the service does.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = budget_bytes // _SEGMENTS
        self._budget_bytes = budget_bytes
        self._current: Path | None = None

    def keep(self, records: list[QuarantineRecord]) -> int:
        """Write and sync the records; return how many old files had to go. Raises OSError."""
        data = b"".join(_ENCODER.encode(record) + b"\n" for record in records)
        with self._held():
            path = self._segment()
            append_durably(path, data)
            return self._evict(path)

    def size(self) -> int:
        """Return how many bytes are kept."""
        return sum(_size(path) for path in segments(self._folder))

    def records(self) -> Iterator[QuarantineRecord]:
        """Yield what is kept, oldest first; a torn last line is passed over."""
        return (record for _name, record in self.named_records())

    def named_records(self) -> Iterator[tuple[str, QuarantineRecord]]:
        """Yield what is kept with a name for each, `FILE:LINE`."""
        for path in segments(self._folder):
            for number, record in enumerate(read_segment(path), 1):
                yield f"{path.stem}:{number}", record

    def close_segments(self) -> list[Path]:
        """Return what is kept as files to which nothing is added any more, oldest first."""
        with self._held():
            closed = []
            for path in segments(self._folder):
                # A name that `keep` will not choose again: a service that writes begins anew.
                stem = path.stem if path.stem.endswith("-closed") else f"{path.stem}-closed"
                closed.append(path.rename(path.with_name(f"{stem}{SUFFIX}")))
            return closed

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Hold the folder against other processes for the length of a few file operations."""
        make_folder(self._folder)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _segment(self) -> Path:
        if self._current is None or not 0 < _size(self._current) < self._segment_bytes:
            self._current = self._folder / f"{time.time_ns():020d}{SUFFIX}"
        return self._current

    def _evict(self, current: Path) -> int:
        paths = segments(self._folder)
        total, evicted = sum(_size(path) for path in paths), 0
        for path in paths:
            if total <= self._budget_bytes or path == current:
                break
            total -= _size(path)
            path.unlink(missing_ok=True)
            evicted += 1
        return evicted


def segments(folder: Path) -> list[Path]:
    """Return the files of a quarantine, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def read_segment(path: Path) -> Iterator[QuarantineRecord]:
    """Yield the records of one file; a torn last line is passed over."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield _DECODER.decode(line)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
