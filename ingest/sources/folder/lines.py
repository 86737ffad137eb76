"""A file's bytes become lines, piece by piece, in memory that has a bound whatever the file is."""

from msgspec import Struct

MOST_EMPTY_LINES = 1_000


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
        self._longest_bytes = longest_bytes
        self._begun = b""  # a line whose end has not come
        self._beyond = 0  # how many bytes of it came that are not kept
        self._lines = 0
        self._empty = 0

    def feed(self, piece: bytes) -> list[Line]:
        """Return the lines that end in this piece."""
        first, newline, others = piece.partition(b"\n")
        self._begin(first)
        if not newline:
            return []
        *whole, begun = others.split(b"\n")
        lines = self._first()
        lines += [line.removesuffix(b"\r") for line in whole if line not in (b"", b"\r")]
        self._lines += len(lines)
        self._empty += 1 + len(whole) - len(lines)
        self._begin(begun)
        return lines

    def end(self) -> list[Line]:
        """Return what was wrong with the file as a whole."""
        bad: list[Line] = []
        if self._begun:
            self._lines += 1
            bad += [self._too_long() or BadLine(self._begun, "the last line has no end")]
        if self._empty > MOST_EMPTY_LINES or not self._lines:
            bad.append(BadLine(b"", f"{self._empty:,} empty lines"))
        return bad

    def _begin(self, part: bytes) -> None:
        room = self._longest_bytes - len(self._begun)
        self._begun += part[:room]
        self._beyond += max(len(part) - room, 0)

    def _first(self) -> list[Line]:
        """Return the line that was begun before this piece, unless it is empty."""
        line = self._too_long() or self._begun.removesuffix(b"\r")
        self._begun, self._beyond = b"", 0
        return [line] if line else []

    def _too_long(self) -> BadLine | None:
        if not self._beyond:
            return None
        kept = len(self._begun)
        reason = f"a line of {kept + self._beyond:,} bytes: its first {kept:,} are kept"
        return BadLine(self._begun, reason)
