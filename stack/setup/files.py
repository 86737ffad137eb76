"""Where a backup goes to and comes from: a file, or a stream that is kept in one until checked."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from stack.setup.server import RequestRefused

_CHUNK_BYTES = 2**20


@contextmanager
def written(path: Path | None, stdout: BinaryIO) -> Iterator[BinaryIO]:
    """Give what a backup is written to; a file bears its name only when it is whole and synced."""
    if path is None:
        yield stdout
        stdout.flush()
        return
    unfinished = path.with_name(f"{path.name}.part")
    opened = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with open(opened, "wb") as file:  # noqa: PTH123
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def copied(path: Path | None, stdin: BinaryIO, folder: Path) -> Iterator[BinaryIO]:
    """Give a backup as a file that can be read at any place."""
    if path is not None:
        with path.open("rb") as file:
            yield file
        return
    with tempfile.TemporaryFile(dir=folder) as spooled:
        try:
            shutil.copyfileobj(stdin, spooled, _CHUNK_BYTES)
            spooled.flush()
        except OSError as error:
            text = (
                f"{folder} cannot hold the backup ({error.strerror}): --spool FOLDER, --from FILE"
            )
            raise RequestRefused(text) from error
        spooled.seek(0)
        yield spooled
