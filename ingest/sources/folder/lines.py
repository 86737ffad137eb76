"""A file's bytes become lines, piece by piece, in memory that has a bound whatever the file is."""

from msgspec import Struct

from ingest.sources.line_ends import MOST_EMPTY_LINES, BegunLine


class BadLine(Struct, frozen=True):
    """What cannot be a payload: its bytes, as far as they are kept, and why."""

    kept: bytes
    reason: str


Line = bytes | BadLine


class LineCutter:
    """Cuts a file into lines, each without its end: a newline, or CR and newline.

    Unlike a connection, a file goes on behind a line that is too long: of that so many bytes are
    kept. Empty lines are passed over; a file of too many, or of nothing else, has a bad line more.
    A piece that is fed is not longer than a line may be.
    """

    def __init__(self, longest_bytes: int) -> None:
        self._begun = BegunLine(longest_bytes)
        self._lines = 0
        self._empty = 0

    def feed(self, piece: bytes) -> list[Line]:
        """Return the lines that end in this piece."""
        first, newline, others = piece.partition(b"\n")
        self._begun.add(first)
        if not newline:
            return []
        *whole, begun = others.split(b"\n")
        lines = self._first()
        lines += [line.removesuffix(b"\r") for line in whole if line not in (b"", b"\r")]
        self._lines += len(lines)
        self._empty += 1 + len(whole) - len(lines)
        self._begun.add(begun)
        return lines

    def end(self) -> list[Line]:
        """Return what was wrong with the file as a whole."""
        bad: list[Line] = []
        if self._begun.size_bytes:
            self._lines += 1
            bad.append(self._too_long() or BadLine(self._begun.take(), "the last line has no end"))
        if self._empty > MOST_EMPTY_LINES or not self._lines:
            bad.append(BadLine(b"", f"{self._empty:,} empty lines"))
        return bad

    def _first(self) -> list[Line]:
        """Return the line that was begun before this piece, unless it is empty."""
        line = self._too_long() or self._begun.take().removesuffix(b"\r")
        return [line] if line else []

    def _too_long(self) -> BadLine | None:
        if not self._begun.is_too_long:
            return None
        size_bytes, kept = self._begun.size_bytes, self._begun.take()
        reason = f"a line of {size_bytes:,} bytes: its first {len(kept):,} are kept"
        return BadLine(kept, reason)
