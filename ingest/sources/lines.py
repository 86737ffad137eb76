"""The words of the stream sockets, with no socket in them: lines come in, lines of answers go out.

A line is one payload, ended by a newline. The answers are JSON, a line each, and cumulative:

    {"ready":true}                     let in; over TCP it answers the first line, {"key":"…"}
    {"durable":17}                     the first 17 lines of this connection are safe
    {"durable":18,"quarantined":[{"line":18,"index":0,"reason":"…"}]}       its first reading
    {"durable":19,"quarantined":[{"line":19,"reason":"…"}]}                 all of that line
    {"error":"…","line":20}            the end, and why; `line` is there where it was one line
"""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from ingest.message import Receipt
from ingest.sources.line_ends import MOST_EMPTY_LINES, BegunLine

READY = b'{"ready":true}\n'
MOST_NAMED = 500
"""So many quarantined readings one answer names, whatever number of lines it is for."""

_MOST_REASON_CHARACTERS = 200


class Trouble(Struct, frozen=True, omit_defaults=True):
    """Why a connection ends, as its sender is told."""

    error: str
    line: int | None = None


class LineSplitter:
    """Cuts a stream into lines, each without its end: a newline, or CR and newline.

    Empty lines are passed over, and not counted. Where the stream cannot go on, `trouble` says why,
    and what came before that is good. It keeps at most one line, as long as a line may be.
    """

    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._begun = BegunLine(longest_bytes)
        self._empty_in_a_row = 0
        self._lines = 0
        self.trouble: Trouble | None = None

    @property
    def unfinished_bytes(self) -> int:
        """How much is there of a line that has no end yet."""
        return self._begun.kept_bytes

    def feed(self, data: bytes) -> list[bytes]:
        """Take what came next; return the lines that are complete now."""
        if self.trouble is not None:
            return []
        first, newline, others = data.partition(b"\n")
        self._begin(first)
        if not newline or self.trouble is not None:
            return []
        *whole, begun = others.split(b"\n")
        lines = self._lines_of([self._begun.take(), *whole])
        if self.trouble is None:
            self._begin(begun)
        return lines

    def end(self) -> None:
        """Note that nothing more comes: a line without an end may be half of one."""
        if self._begun.size_bytes:
            self.stop(Trouble("the last line has no end", self._lines + 1))

    def stop(self, trouble: Trouble) -> None:
        """Take no more, whatever comes."""
        self.trouble = trouble
        self._begun.take()

    def _lines_of(self, pieces: Iterable[bytes]) -> list[bytes]:
        lines = []
        for piece in pieces:
            if len(piece) > self._longest_bytes:
                self.trouble = self._too_long()
                break
            line = piece.removesuffix(b"\r")
            if line:
                lines.append(line)
                self._lines += 1
                self._empty_in_a_row = 0
                continue
            self._empty_in_a_row += 1
            if self._empty_in_a_row > MOST_EMPTY_LINES:
                self.trouble = Trouble(f"more than {MOST_EMPTY_LINES:,} empty lines in a row")
                break
        return lines

    def _begin(self, part: bytes) -> None:
        self._begun.add(part)
        if self._begun.is_too_long:
            self.stop(self._too_long())

    def _too_long(self) -> Trouble:
        return Trouble(f"a line is longer than {self._longest_bytes:,} bytes", self._lines + 1)


class Named(Struct, frozen=True, omit_defaults=True):
    """What of a line went to quarantine: one of its readings, or without `index` all of it."""

    line: int
    reason: str
    index: int | None = None


class _Durable(Struct, frozen=True, omit_defaults=True):
    durable: int
    quarantined: list[Named] = []
    unnamed: int = 0


class _KeyLine(Struct, frozen=True):
    key: str


_ENCODER = msgspec.json.Encoder()
_KEY_DECODER = msgspec.json.Decoder(_KeyLine)


def key_in(line: bytes) -> str | None:
    """Return the key of a connection's first line, None where it is no such line."""
    try:
        return _KEY_DECODER.decode(line).key
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def named(line: int, receipt: Receipt) -> list[Named]:
    """Return what of a line went to quarantine."""
    return [
        Named(
            line,
            one.reason[:_MOST_REASON_CHARACTERS],
            None if receipt.is_whole else one.index,
        )
        for one in receipt.rejected
    ]


def durable(lines: int, quarantined: Sequence[Named] = (), unnamed: int = 0) -> bytes:
    """Answer that so many lines are safe, and what of them went to quarantine.

    Past `MOST_NAMED` that is only counted, together with those `unnamed` already.
    """
    if not quarantined:
        return b'{"durable":%d}\n' % lines
    unnamed += max(len(quarantined) - MOST_NAMED, 0)
    return _ENCODER.encode(_Durable(lines, list(quarantined[:MOST_NAMED]), unnamed)) + b"\n"


def error(trouble: Trouble) -> bytes:
    """Answer that this is the end, and why."""
    return _ENCODER.encode(trouble) + b"\n"
