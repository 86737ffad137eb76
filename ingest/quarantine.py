"""The quarantine: what cannot be stored, kept on the disk with its reason until a person looks.

Segments of JSON lines in one folder. A record is `{"time_ms", "topic", "qos", "content_type",
"index", "reason", "payload"}`, the payload in base64, as it may be anything.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

_SUFFIX = ".jsonl"
_SEGMENTS = 8  # the budget is cut into so many files, of which the oldest goes when it is spent


class QuarantineRecord(Struct, frozen=True):
    """One message, or one reading of a pack (`index`), that was not stored, and why."""

    time_ms: int
    topic: str
    qos: int
    reason: str
    payload: bytes
    content_type: str | None = None
    index: int | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(QuarantineRecord)


class Quarantine:
    """The folder and its budget in bytes; its methods block, so they are called in a thread."""

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = budget_bytes // _SEGMENTS
        self._budget_bytes = budget_bytes
        self._current: Path | None = None

    def keep(self, records: list[QuarantineRecord]) -> int:
        """Write and sync the records; return how many old files had to go. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        data = b"".join(_ENCODER.encode(record) + b"\n" for record in records)
        path = self._segment()
        is_new = not path.exists()
        with path.open("ab") as segment:
            segment.write(data)
            segment.flush()
            os.fsync(segment.fileno())
        if is_new:
            _sync_folder(self._folder)
        return self._evict(path)

    def records(self) -> Iterator[QuarantineRecord]:
        """Yield what is kept, oldest first; a torn last line is passed over."""
        for path in self._paths():
            with path.open("rb") as lines:
                for line in lines:
                    if line.endswith(b"\n"):
                        yield _DECODER.decode(line)

    def _paths(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _segment(self) -> Path:
        if self._current is None or _size(self._current) >= self._segment_bytes:
            self._current = self._folder / f"{time.time_ns():020d}{_SUFFIX}"
        return self._current

    def _evict(self, current: Path) -> int:
        paths = self._paths()
        total, evicted = sum(_size(path) for path in paths), 0
        for path in paths:
            if total <= self._budget_bytes or path == current:
                break
            total -= _size(path)
            path.unlink(missing_ok=True)
            evicted += 1
        return evicted


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
