"""A small disk that can be filled to the last byte: a tmpfs of the case's own."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack import StackError

_PIECE_BYTES = 1 << 16


class SmallDisk:
    """A mounted file system with a filler on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> int:
        """Take all that is left; return how many bytes that was."""
        with self._filler.open("ab", buffering=0) as filler:
            size = _PIECE_BYTES
            while size:
                try:
                    filler.write(bytes(size))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    size //= 2
            return filler.tell()

    def free(self) -> None:
        """Give back what the filler took."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs there and take it away at the end; StackError where that is not allowed.

    A limit on the size of files would be no substitute: it ends the process with a signal.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = f"size={megabytes}m,mode=0700"
    _run(["mount", "-t", "tmpfs", "-o", options, "denyut-faults", str(folder)])
    try:
        yield SmallDisk(folder)
    finally:
        # Lazily: whoever still has a file open there loses nothing by it.
        _run(["umount", "--lazy", str(folder)])


def _run(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=20, check=False
    )
    if done.returncode != 0:
        raise StackError(f"{command[0]} (needs root and CAP_SYS_ADMIN): {done.stderr.strip()}")
