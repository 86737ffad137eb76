"""The outboxes' journal: the waiting readings of a process on disk, so that they survive it.

One append-only log for all devices. A reading is written before it is published, all those of a
moment in one go; when it is acknowledged, refused or dropped it is settled, which is written down
a little later: a killed process publishes again what it had settled in its last moments. The log
is cut into segments (sensors/segment.py). One whose readings are all settled is deleted, neighbours
of which little is left become one; past the budget the oldest is dropped with what waits in it.

What is written survives the process at once, and the machine from the next `sync` on.
"""

import fcntl
import os
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

from sensors.segment import READINGS, SETTLED, Record, Segment, append, encode

_LOCK, _NEW = "lock", ".new"
_SEGMENTS = 16  # about so many fill the budget, unless it is large
_LARGEST_SEGMENT_BYTES = 1 << 20
_NUMBER_DIGITS = 20


class JournalInUse(OSError):
    """Raised when another process has the folder."""


class Journal:
    """The log in one folder, which is locked as long as it is open.

    `left` are the numbers of the readings that an earlier process left there, ascending, by QoS and
    topic; `torn_bytes` is what could not be read. Only with `synced` has it something to sync.
    """

    def __init__(self, folder: Path, budget_bytes: int, *, synced: bool = True) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = _lock(folder)
        self._budget_bytes = budget_bytes
        self._segment_bytes = min(budget_bytes // _SEGMENTS, _LARGEST_SEGMENT_BYTES)
        self._segments: list[Segment] = []
        self._file: FileIO | None = None  # of the last segment, while it grows
        self._pending: list[tuple[int, bytes]] = []
        self._pending_bytes = 0
        self._synced = synced
        self._unsynced: list[int] = []
        self._settled_in: set[Segment] = set()
        self.torn_bytes = 0
        self.left: dict[tuple[int, bytes], array[int]] = {}
        self._read_all()
        self._next = self._segments[-1].last + 1 if self._segments else 1
        self._drop_settled_segments()

    @property
    def readings(self) -> int:
        """How many readings stand there unsettled."""
        return sum(segment.live for segment in self._segments)

    @property
    def disk_bytes(self) -> int:
        """How large the files are."""
        return sum(segment.disk_bytes for segment in self._segments)

    @property
    def lacks_room(self) -> bool:
        """Whether what was appended does not fit into the budget."""
        return bool(self._segments) and self.disk_bytes + self._pending_bytes > self._budget_bytes

    def append(self, qos: int, topic: bytes, payload: bytes) -> int:
        """Take a reading for the next `flush`; return its number."""
        number = self._next
        self._next += 1
        data = encode(number, qos, topic, payload)
        self._pending.append((number, data))
        self._pending_bytes += len(data)
        return number

    def flush(self) -> None:
        """Hand what was appended to the operating system; OSError where the disk refuses it.

        What it refused is then not in the journal.
        """
        pending, self._pending, self._pending_bytes = self._pending, [], 0
        if not pending:
            return
        if self._file is None:
            self._begin_segment(pending[0][0])
        assert self._file is not None
        segment = self._segments[-1]
        append(self._file, b"".join(data for _, data in pending), segment.size_bytes)
        for number, data in pending:
            segment.note(number, len(data))
        if segment.size_bytes >= self._segment_bytes:
            self._end_segment()
            self._reclaim()

    def holds(self, number: int) -> bool:
        """Tell whether a reading stands there unsettled."""
        segment = self._segment_of(number)
        return segment is not None and segment.holds(number)

    def read(self, numbers: Iterable[int]) -> Iterator[Record]:
        """Yield those of the given readings (numbers, ascending) that stand there unsettled."""
        wanted: dict[Segment, list[int]] = {}
        for number in numbers:
            segment = self._segment_of(number)
            if segment is not None:
                wanted.setdefault(segment, []).append(number)
        for segment, inside in wanted.items():
            yield from segment.read(inside)

    def settle(self, number: int) -> None:
        """Take a reading as acknowledged, refused or dropped."""
        segment = self._segment_of(number)
        if segment is None or not segment.settle(number):
            return
        if segment.live or self._is_growing(segment):
            self._settled_in.add(segment)
        else:
            self._remove(segment)

    def write_settled(self) -> None:
        """Write down what was settled; OSError where the disk refuses it."""
        for segment in tuple(self._settled_in):
            segment.write_settled()
            self._settled_in.discard(segment)

    @property
    def oldest_through(self) -> int:
        """The last number of the oldest segment, which is the next to go."""
        return self._segments[0].last

    def drop_through(self, last: int) -> None:
        """Remove the segments up to a number; what was settled in them may have removed them."""
        while self._segments and self._segments[0].last <= last:
            if self._is_growing(self._segments[0]):
                self._end_segment()
            else:
                self._remove(self._segments[0])

    def unsynced(self) -> list[int]:
        """Return descriptors, to be synced and closed, of what was written since the last time."""
        if self._file is not None and self._synced:
            self._unsynced.append(os.dup(self._file.fileno()))
        descriptors, self._unsynced = self._unsynced, []
        if descriptors:
            descriptors.append(os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY))
        return descriptors

    def close(self) -> None:
        """Write down and sync what is left, and let the folder go; files stay only for readings."""
        try:
            if self._file is not None:
                self._end_segment()
            self.write_settled()
            sync(self.unsynced())
        finally:
            os.close(self._lock)

    def _read_all(self) -> None:
        for stray in self._folder.glob(f"*{_NEW}"):
            stray.unlink()
        last = 0
        for path in sorted(self._folder.glob(f"*{READINGS}")):
            segment = Segment(path)
            records, torn_bytes = segment.scan(last)
            self.torn_bytes += torn_bytes
            for record in records:
                place = (record.qos, record.topic)
                self.left.setdefault(place, array("Q")).append(record.number)
            if segment.size_bytes:
                self._segments.append(segment)
                last = max(last, segment.last)
            else:
                segment.remove()
        for path in self._folder.glob(f"*{SETTLED}"):
            if not path.with_suffix(READINGS).exists():
                path.unlink()

    def _drop_settled_segments(self) -> None:
        for segment in [one for one in self._segments if not one.live]:
            self._remove(segment)

    def _begin_segment(self, first: int) -> None:
        segment = Segment(self._folder / f"{first:0{_NUMBER_DIGITS}d}{READINGS}")
        self._file = segment.path.open("ab", buffering=0)
        self._segments.append(segment)

    def _end_segment(self) -> None:
        assert self._file is not None
        segment = self._segments[-1]
        if self._synced and segment.live:
            self._unsynced.append(os.dup(self._file.fileno()))
        self._file.close()
        self._file = None
        if not segment.live:
            self._remove(segment)

    def _is_growing(self, segment: Segment) -> bool:
        return self._file is not None and segment is self._segments[-1]

    def _segment_of(self, number: int) -> Segment | None:
        place = bisect_right(self._segments, number, key=_first) - 1
        return self._segments[place] if place >= 0 else None

    def _remove(self, segment: Segment) -> None:
        self._segments.remove(segment)
        self._settled_in.discard(segment)
        segment.remove()

    def _reclaim(self) -> None:
        """Write anew what is half settled, alone or together with its neighbour.

        So the files are at most about twice as large as what waits in them, and not in many pieces.
        The last segment is left out: what it has is mostly on its way and settled in a moment.
        """
        place = 0
        # Whatever the disk refuses here can be done later.
        with suppress(OSError):
            while place < len(self._segments) - 1:
                segment, *behind = self._segments[place:-1][:2]
                together = segment.live_bytes + sum(one.live_bytes for one in behind)
                if behind and together <= self._segment_bytes // 2:
                    self._rewrite([segment, *behind])
                elif segment.live_bytes <= segment.size_bytes // 2:
                    self._rewrite([segment])
                else:
                    place += 1

    def _rewrite(self, segments: list[Segment]) -> None:
        """Let one segment with what is live in neighbours take their place."""
        path = segments[0].path
        new = path.with_suffix(_NEW)
        live = [entry for segment in segments for entry in segment.live_records()]
        with new.open("wb", buffering=0) as file:
            append(file, b"".join(data for _, data in live), 0)
            if self._synced:
                # The originals go at once: a crash of the machine must leave one or the other.
                os.fsync(file.fileno())
        new.rename(path)
        rewritten = Segment(path)
        for number, data in live:
            rewritten.note(number, len(data))
        place = self._segments.index(segments[0])
        self._segments[place : place + len(segments)] = [rewritten]
        self._settled_in.difference_update(segments)
        segments[0].settled_path.unlink(missing_ok=True)
        for segment in segments[1:]:
            segment.remove()


def sync(descriptors: list[int]) -> None:
    """Sync and close files; for a thread, since the disk takes its time."""
    for descriptor in descriptors:
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _first(segment: Segment) -> int:
    return segment.first


def _lock(folder: Path) -> int:
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise JournalInUse(f"{folder}: another process has it") from error
    return descriptor
