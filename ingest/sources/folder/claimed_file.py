"""A file that this ingest has claimed, read from its beginning to its end in bounded pieces."""

import os
import stat

_HOW = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ClaimedFile:
    """An open file, which closes itself at its end; `size` is how much of it was read.

    `trouble` is why it could not be read to its end, or None. Of a file that `begin` has read,
    `beginning` holds the first bytes.
    """

    def __init__(self, claim: str, descriptor: int) -> None:
        self.claim = claim
        self.size = 0
        self.beginning = b""
        self.trouble: str | None = None
        self._descriptor = descriptor

    @property
    def is_open(self) -> bool:
        """Whether there may be more to read."""
        return self._descriptor >= 0

    def begin(self, most_bytes: int) -> None:
        """Read the first bytes."""
        self.beginning = self.read(most_bytes)

    def read(self, most_bytes: int) -> bytes:
        """Return the next so many bytes; fewer at the end, or where there is trouble."""
        pieces: list[bytes] = []
        left = most_bytes
        while left > 0 and self.is_open:
            try:
                piece = os.read(self._descriptor, left)
            except OSError as error:
                self.trouble = error.strerror or str(error)
                piece = b""
            if not piece:
                self.close()
            pieces.append(piece)
            left -= len(piece)
        self.size += most_bytes - left
        return b"".join(pieces)

    def close(self) -> None:
        """Read no further; the claim stays."""
        if self.is_open:
            os.close(self._descriptor)
            self._descriptor = -1


def open_file(name: str, folder: int) -> int | None:
    """Return a descriptor of a file in a folder, or None where it is not one that is taken.

    Raises FileNotFoundError, and PermissionError where it may not be read.
    """
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not is_taken(found):
        return None
    descriptor = os.open(name, _HOW, dir_fd=folder)
    # What stood there before may have gone meanwhile.
    if os.path.samestat(found, os.fstat(descriptor)):
        return descriptor
    os.close(descriptor)
    return None


def is_taken(found: os.stat_result) -> bool:
    """Tell whether this is a file that is read: a regular one, of one name only, not empty."""
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_size > 0
