"""Connections to the store's file: made when they are needed, kept, and one for each call."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from telemetry.fileid import FileId, file_at
from telemetry.store import StoreError, StoreMisconfigured, StoreTooSlow, StoreUnavailable
from telemetry.store.sqlite import questions

_LOCK_WAIT_MS = 200  # at a time, see `begin`
_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's virtual machine: less than a millisecond


class Connection(sqlite3.Connection):
    """A connection that knows which file it has open; None: one that was gone at once."""

    file: FileId | None = None


class Connections:
    """Those to one file; threads may share them."""

    def __init__(self, path: Path, *, read_only: bool, timeout_seconds: float) -> None:
        self._path = path
        self._read_only = read_only
        self._timeout_seconds = timeout_seconds
        self._idle: list[Connection] = []
        self._is_closed = False

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """Lend a connection; what SQLite raises meanwhile is raised as a StoreError."""
        connection = None
        try:
            connection = self._idle_one() or self._open()
            yield connection
        except sqlite3.Error as error:
            raise _store_error(error, self._path) from error
        finally:
            if connection is not None:
                self._idle.append(connection)
                if self._is_closed:
                    self.close()

    @contextmanager
    def deadline(self, connection: Connection) -> Iterator[None]:
        """Break off what takes too long meanwhile."""
        end_s = time.monotonic() + self._timeout_seconds
        connection.set_progress_handler(lambda: time.monotonic() > end_s, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            connection.set_progress_handler(None, 0)

    def begin(self, cursor: sqlite3.Cursor) -> None:
        """Take the write lock, in short waits: SQLite's own cannot be broken off."""
        end_s = time.monotonic() + self._timeout_seconds
        while True:
            try:
                cursor.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                is_busy = error.sqlite_errorname.startswith("SQLITE_BUSY")
                if not is_busy or self._is_closed or time.monotonic() > end_s:
                    raise
            else:
                return

    def close(self) -> None:
        """Close those that no call holds, and let none wait for the lock any more."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    def _idle_one(self) -> Connection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.file is not None and connection.file == file_at(self._path):
                return connection
            # Its file was removed: what is written there is gone with the process.
            connection.close()

    def _open(self) -> Connection:
        if self._read_only:
            target = f"{self._path.absolute().as_uri()}?mode=ro"
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            target = self._path.absolute().as_uri()
        connection = sqlite3.connect(
            target,
            uri=True,
            timeout=self._timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        connection.execute("PRAGMA synchronous = FULL")
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(questions.SCHEMA)
            if connection.execute(questions.HAS_FIELDS).fetchone() is None:
                connection.executescript(f"BEGIN IMMEDIATE; {questions.FIELD_SCHEMA} COMMIT;")
            connection.execute(f"PRAGMA busy_timeout = {_LOCK_WAIT_MS}")
        connection.file = file_at(self._path)
        return connection


def _store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Sort SQLite's result codes (https://www.sqlite.org/rescode.html) into our tree."""
    name = getattr(error, "sqlite_errorname", "")
    message = f"{path}: {error}"
    if name.startswith("SQLITE_INTERRUPT"):
        return StoreTooSlow(message)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")):
        return StoreUnavailable(message)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_READONLY")):
        return StoreMisconfigured(message)
    return StoreError(message)
