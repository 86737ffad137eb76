"""Which file stands at a path: one that was removed or replaced has another identity."""

from pathlib import Path

FileId = tuple[int, int]
"""Its device and inode."""


def file_at(path: Path) -> FileId | None:
    """Return which file is there; None where there is none, or it cannot be seen."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
