"""A segment of the spool: a text file of records, each a batch in line protocol.

    # denyut spool: line protocol, times in ms (influx write --precision ms)
    # record 187 bytes, crc32 9a3b0c11, readings by QoS 1 0 2
    weather,device=node-1,site=jakarta temperature=21.5,boot=…i,seq=17i 1700000000123
    …

All that is not a reading is a comment of line protocol, so that `influx write` takes the file as it
is. A record's readings stand in the order of their QoS levels.
"""

import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

SUFFIX = ".lp"
HEADING = b"# denyut spool: line protocol, times in ms (influx write --precision ms)\n"
_HEADER = re.compile(
    rb"# record (?P<bytes>\d{1,10}) bytes, crc32 (?P<crc>[0-9a-f]{8}),"
    rb" readings by QoS (?P<qos0>\d{1,9}) (?P<qos1>\d{1,9}) (?P<qos2>\d{1,9})\n"
)
_LONGEST_HEADER = 120
_MARK = b"# record "


class Record(Struct, frozen=True):
    """A record as it was found: how many readings of each level, and where it stands.

    `is_whole` is False where its lines are not those that were written, and where no record can be
    read up to the next one.
    """

    path: Path
    start: int
    end: int
    by_qos: tuple[int, int, int]
    lines: bytes
    is_whole: bool = True

    @property
    def readings(self) -> int:
        """How many readings it holds."""
        return sum(self.by_qos)


def encode_record(lines: bytes, by_qos: tuple[int, int, int]) -> bytes:
    """Return a record with its header; `lines` ends with a newline."""
    levels = " ".join(map(str, by_qos))
    crc = zlib.crc32(lines)
    header = f"# record {len(lines)} bytes, crc32 {crc:08x}, readings by QoS {levels}\n"
    return header.encode() + lines


def read_record(path: Path, start: int) -> Record | None:
    """Return the record that begins at an offset; None at the end, and where none can be read."""
    with path.open("rb") as file:
        return _read(path, file, start, with_lines=True)


def read_gap(path: Path, start: int) -> Record | None:
    """Return what stands at an offset where no record can be read, up to the next one that can.

    None where nothing is there, or a torn record: one that a crash cut short.
    """
    with path.open("rb") as file:
        file.seek(start)
        rest = file.read()
        length = len(rest)
        for found in re.finditer(rb"\n# record ", rest):
            following = _read(path, file, start + found.start() + 1, with_lines=True)
            if following is not None and following.is_whole:
                length = found.start() + 1
                break
    if length == len(rest) and (not rest or _is_torn(rest)):
        return None
    return Record(path, start, start + length, (0, 0, 0), rest[:length], is_whole=False)


def records(path: Path, start: int = len(HEADING)) -> Iterator[Record]:
    """Yield the records of a segment without their lines, and so without checking these."""
    with path.open("rb") as file:
        while True:
            record = _read(path, file, start, with_lines=False)
            if record is not None:
                yield record
            else:
                record = read_gap(path, start)
                if record is None:
                    return
            start = record.end


def _read(path: Path, file: BinaryIO, start: int, *, with_lines: bool) -> Record | None:
    file.seek(start)
    header = file.readline(_LONGEST_HEADER)
    match = _HEADER.fullmatch(header)
    if match is None:
        return None
    by_qos = (int(match["qos0"]), int(match["qos1"]), int(match["qos2"]))
    body, length = start + len(header), int(match["bytes"])
    if body + length > path.stat().st_size:
        return None
    if not with_lines:
        return Record(path, start, body + length, by_qos, b"")
    lines = file.read(length)
    is_whole = zlib.crc32(lines) == int(match["crc"], 16)
    return Record(path, start, body + length, by_qos, lines, is_whole)


def _is_torn(rest: bytes) -> bool:
    """Tell whether the end of a file is a record, or its header, that was cut short."""
    header, newline, _lines = rest[:_LONGEST_HEADER].partition(b"\n")
    if newline:
        return _HEADER.fullmatch(header + newline) is not None
    return len(rest) < _LONGEST_HEADER and (header.startswith(_MARK) or _MARK.startswith(header))
