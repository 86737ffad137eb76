"""What cutting a connection and cutting a file into lines have in common: how a line ends."""

MOST_EMPTY_LINES = 1_000
"""More of them than any sender has a reason for."""


class BegunLine:
    """A line whose end has not come yet: kept up to a bound, beyond which it is only counted."""

    def __init__(self, longest_bytes: int) -> None:
        self._longest_bytes = longest_bytes
        self._kept = bytearray()
        self.size_bytes = 0

    @property
    def kept_bytes(self) -> int:
        """How much of it is kept."""
        return len(self._kept)

    @property
    def is_too_long(self) -> bool:
        """Whether it is longer than a line may be, its end not counted."""
        return self.size_bytes > self._longest_bytes

    def add(self, part: bytes) -> None:
        """Note what came next of it."""
        room = self._longest_bytes - len(self._kept)
        self._kept += part if len(part) <= room else part[:room]
        self.size_bytes += len(part)

    def take(self) -> bytes:
        """Return what is kept of it, and begin the next one."""
        kept = bytes(self._kept)
        self._kept.clear()
        self.size_bytes = 0
        return kept
