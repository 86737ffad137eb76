"""A part of the journal: readings in the order of their numbers, and which of them are settled.

Two files: `NUMBER.readings`, named by its first reading's number, and `NUMBER.settled` beside it.
A record of the first is

    CRC-32 of all behind it · length of all behind that · number · QoS · length of topic · topic ·
    payload

and of the second a number of eight bytes, in this machine's order of bytes. What stands behind a
torn or damaged record is cut off, for it cannot be told apart. Numbers grow, over all segments.
"""

import os
import struct
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import suppress
from io import FileIO
from pathlib import Path

from msgspec import Struct

READINGS, SETTLED = ".readings", ".settled"

_FRAME = struct.Struct("<II")
_HEAD = struct.Struct("<QBH")
_NUMBER_BYTES = 8


class Record(Struct, frozen=True, gc=False):
    """A reading as it stands on disk."""

    number: int
    qos: int
    topic: bytes
    payload: bytes


def encode(number: int, qos: int, topic: bytes, payload: bytes) -> bytes:
    """Return a record's bytes."""
    body = b"".join((_HEAD.pack(number, qos, len(topic)), topic, payload))
    length = len(body).to_bytes(4, "little")
    return b"".join((zlib.crc32(body, zlib.crc32(length)).to_bytes(4, "little"), length, body))


def append(file: FileIO, data: bytes, size_bytes: int) -> None:
    """Write all of the data to the end of an unbuffered file of this size, or nothing: OSError."""
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[file.write(rest) :]
    except OSError:
        with suppress(OSError):
            os.truncate(file.fileno(), size_bytes)
        raise


def decode(data: bytes, offset: int) -> tuple[Record, int] | None:
    """Return the record at an offset and where the next one begins; None where it is not whole."""
    if offset + _FRAME.size > len(data):
        return None
    checksum, length = _FRAME.unpack_from(data, offset)
    begin, end = offset + _FRAME.size, offset + _FRAME.size + length
    # The checksum covers the length as well: zeros, as a crash leaves them, are no empty record.
    if end > len(data) or length < _HEAD.size:
        return None
    if zlib.crc32(data[offset + 4 : end]) != checksum:
        return None
    number, qos, topic_bytes = _HEAD.unpack_from(data, begin)
    payload_at = begin + _HEAD.size + topic_bytes
    topic = data[begin + _HEAD.size : payload_at]
    return Record(number, qos, topic, data[payload_at:end]), end


class Segment:
    """One segment, with an index of 13 bytes of memory a record.

    `live` counts the readings that are not settled, `live_bytes` their records.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self.live = 0
        self.live_bytes = 0
        self._numbers = array("Q")
        self._offsets = array("I")
        self._dead = bytearray()
        self._unwritten = array("Q")  # settled, and not yet in the file that says so
        self._settled_bytes = 0

    @property
    def first(self) -> int:
        """The number that it is named by: no reading in it has a smaller one."""
        return int(self.path.stem)

    @property
    def last(self) -> int:
        """The number of its last reading."""
        return self._numbers[-1] if self._numbers else self.first

    @property
    def settled_path(self) -> Path:
        """The file of the settled numbers."""
        return self.path.with_suffix(SETTLED)

    @property
    def disk_bytes(self) -> int:
        """The size of both files."""
        return self.size_bytes + self._settled_bytes

    def scan(self, after: int) -> tuple[list[Record], int]:
        """Read the files; return the unsettled readings with numbers greater than `after`.

        And how many bytes behind the last whole record were cut off. Smaller numbers stand in an
        earlier segment as well: a merge was interrupted.
        """
        settled, records = self._read_settled(), []
        data = self.path.read_bytes()
        while (found := decode(data, self.size_bytes)) is not None:
            record, end = found
            self.note(record.number, end - self.size_bytes)
            if record.number <= after or record.number in settled:
                self._bury(len(self._numbers) - 1)
            else:
                records.append(record)
        torn_bytes = len(data) - self.size_bytes
        if torn_bytes:
            os.truncate(self.path, self.size_bytes)
        return records, torn_bytes

    def note(self, number: int, record_bytes: int) -> None:
        """Take into the index a record that was written at the file's end."""
        self._numbers.append(number)
        self._offsets.append(self.size_bytes)
        self._dead.append(0)
        self.size_bytes += record_bytes
        self.live += 1
        self.live_bytes += record_bytes

    def holds(self, number: int) -> bool:
        """Tell whether a reading is here and not settled."""
        return self._find(number) is not None

    def settle(self, number: int) -> bool:
        """Mark a reading as settled; False where it is not here or was so before."""
        index = self._find(number)
        if index is None:
            return False
        self._bury(index)
        self._unwritten.append(number)
        return True

    def write_settled(self) -> None:
        """Write down what was settled since the last time; OSError where the disk refuses."""
        if self._unwritten:
            data = self._unwritten.tobytes()
            with self.settled_path.open("ab", buffering=0) as file:
                append(file, data, self._settled_bytes)
            self._settled_bytes += len(data)
            self._unwritten = array("Q")

    def read(self, numbers: Iterable[int]) -> Iterator[Record]:
        """Yield those of the given readings that are here, unsettled and whole."""
        with self.path.open("rb", buffering=0) as file:
            for number in numbers:
                index = self._find(number)
                if index is None:
                    continue
                data = os.pread(file.fileno(), self._record_bytes(index), self._offsets[index])
                if (found := decode(data, 0)) is not None:
                    yield found[0]

    def live_records(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each unsettled reading, to be copied."""
        data = self.path.read_bytes()
        for index, dead in enumerate(self._dead):
            if not dead:
                begin = self._offsets[index]
                yield self._numbers[index], data[begin : begin + self._record_bytes(index)]

    def remove(self) -> None:
        """Delete the files."""
        self.path.unlink(missing_ok=True)
        self.settled_path.unlink(missing_ok=True)

    def _find(self, number: int) -> int | None:
        index = bisect_left(self._numbers, number)
        found = index < len(self._numbers) and self._numbers[index] == number
        return index if found and not self._dead[index] else None

    def _bury(self, index: int) -> None:
        self._dead[index] = 1
        self.live -= 1
        self.live_bytes -= self._record_bytes(index)

    def _record_bytes(self, index: int) -> int:
        behind = index + 1
        end = self._offsets[behind] if behind < len(self._offsets) else self.size_bytes
        return end - self._offsets[index]

    def _read_settled(self) -> frozenset[int]:
        try:
            data = self.settled_path.read_bytes()
        except FileNotFoundError:
            return frozenset()
        self._settled_bytes = len(data) - len(data) % _NUMBER_BYTES
        if self._settled_bytes < len(data):
            os.truncate(self.settled_path, self._settled_bytes)
        return frozenset(array("Q", data[: self._settled_bytes]))
