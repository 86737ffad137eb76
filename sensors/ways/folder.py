"""The way by a shared folder: a batch of all devices is a file, safe once it is synced and renamed.

Ingest takes `NAME.ndjson`, a payload a line. Names begin with the time, so that ingest takes them
in the order in which they were written.
"""

import asyncio
import errno
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path

from msgspec import Struct

from sensors.settings import SensorsSettings
from sensors.ways.channel import ALL_STORED, Answer, Bounds, Lost
from sensors.ways.failures import ConnectFailed, ConnectionLost, NotNow

# As many as ingest makes durable at once, about; one file at a time, while the next one gathers.
_BOUNDS = Bounds(
    batch_payloads=20_000, batch_bytes=4_000_000, batches_in_flight=1, gather_seconds=0.05
)
_SUFFIX, _UNFINISHED = ".ndjson", ".part"
_TIME_DIGITS = 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o640  # ingest is in the folder's group


class FolderLimits(Struct, frozen=True):
    """How much may wait in the folder, of all who write there, before nothing more is written."""

    files: int
    bytes: int


def folder_channel(settings: SensorsSettings) -> Callable[[], "FolderChannel"]:
    """Return what makes a process's channel."""
    assert settings.folder is not None, "checked before (sensors/ways/checking.py)"
    limits = FolderLimits(settings.folder_files, settings.folder_bytes)
    return partial(FolderChannel, Path(settings.folder), settings.client_id, limits)


class FolderChannel:
    """One writer's hand at the folder; of two processes each has a name of its own."""

    def __init__(self, folder: Path, writer: str, limits: FolderLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._ending = f"-{writer}{_SUFFIX}"
        self._last_ns = 0

    @property
    def bounds(self) -> Bounds:
        """How much may be sent at a time; of the Channel protocol."""
        return _BOUNDS

    async def open(self, _lost: Lost) -> None:
        """See whether files can be written there; of the Channel protocol."""
        try:
            await asyncio.to_thread(self._clean)
        except PermissionError as error:
            raise ConnectFailed("refused", f"{self._folder}: {error.strerror}") from error
        except OSError as error:
            raise ConnectFailed("unreachable", f"{self._folder}: {error.strerror}") from error

    async def send(self, payloads: Sequence[bytes]) -> Answer:
        """Write a file, so that it outlives this machine's crash; of the Channel protocol."""
        await asyncio.to_thread(self._send, payloads)
        return ALL_STORED

    async def close(self) -> None:
        """Do nothing: nothing is held between two files."""

    def abort(self) -> None:
        """Do nothing: a file that is being written is finished or never seen."""

    def _clean(self) -> None:
        """See whether a file can be made, and remove what an earlier process did not finish."""
        with self._opened() as folder:
            probe = f".{self._new_name()}{_UNFINISHED}"
            os.close(os.open(probe, _NEW, _MODE, dir_fd=folder))
            with os.scandir(folder) as entries:
                ours = [one.name for one in entries if _is_unfinished(one.name, self._ending)]
            for name in ours:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)

    def _send(self, payloads: Sequence[bytes]) -> None:
        try:
            with self._opened() as folder:
                self._check_room(folder)
                self._write(folder, b"\n".join((*payloads, b"")))
        except OSError as error:
            why = f"{self._folder}: {error.strerror or error}"
            raise (NotNow(why) if error.errno in _FULL else ConnectionLost(why)) from error

    def _check_room(self, folder: int) -> None:
        """Raise NotNow while too much waits for ingest."""
        files = size = 0
        with os.scandir(folder) as entries:
            for entry in entries:
                # What is gone when it is asked for was taken.
                with suppress(FileNotFoundError):
                    if entry.name.endswith(_SUFFIX) and entry.is_file(follow_symlinks=False):
                        files += 1
                        size += entry.stat(follow_symlinks=False).st_size
        if files >= self._limits.files or size >= self._limits.bytes:
            raise NotNow(f"{self._folder}: {files:,} files of {size:,} bytes wait for ingest")

    def _write(self, folder: int, data: bytes) -> None:
        name = self._new_name()
        unfinished = f".{name}{_UNFINISHED}"
        try:
            with FileIO(os.open(unfinished, _NEW, _MODE, dir_fd=folder), "w") as file:
                left = memoryview(data)
                while left:
                    left = left[file.write(left) :]
                os.fsync(file.fileno())
            os.rename(unfinished, name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError:
            with suppress(OSError):
                os.unlink(unfinished, dir_fd=folder)
            raise
        os.fsync(folder)

    def _new_name(self) -> str:
        self._last_ns = max(time.time_ns(), self._last_ns + 1)
        return f"{self._last_ns:0{_TIME_DIGITS}d}{self._ending}"

    @contextmanager
    def _opened(self) -> Iterator[int]:
        # Anew each time: a volume may have been mounted there since.
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield folder
        finally:
            os.close(folder)


def _is_unfinished(name: str, ending: str) -> bool:
    return name[len(".") + _TIME_DIGITS :] == f"{ending}{_UNFINISHED}"
