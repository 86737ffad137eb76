"""Claims on rows of the inbox: each row by one worker at a time, deleted once it is durable.

PostgreSQL locks rows for a transaction, which lasts until they are deleted: a worker that dies
leaves them to the others. SQLite has one writer, so one ingest takes rows at a time, the one that
holds the lock file beside it (docs/decisions/0035). All that is here blocks: call it in a thread.
"""

import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects.postgresql import ARRAY

from telemetry.fileid import FileId
from telemetry.inbox import file_of, inbox_table

LOCK_SUFFIX = ".claimer"
_BEFORE_ALL = -(2**63)  # a foreign sender may number its rows as it likes

_LOOK_EVERYWHERE_SECONDS = 1.0
# Rows that are committed after so many newer ones have been found are seen at the next such look.
_LATE_ROWS = 10_000


class ClaimBounds(Struct, frozen=True):
    """How much one claim may hold: rows, their bytes together, and the bytes of one."""

    rows: int
    bytes: int
    row_bytes: int


class ClaimedRow(Struct, frozen=True, gc=False):
    """A row as it was read; of a payload that is too large only the beginning."""

    id: int
    payload: bytes
    payload_bytes: int
    content_type: str | None
    received_ms: int


class Claim(Protocol):
    """Rows that nobody else takes meanwhile."""

    rows: list[ClaimedRow]

    @property
    def is_kept(self) -> bool:
        """Whether it outlives a `settle` that failed, which is then tried again."""
        ...

    def settle(self, ids: list[int]) -> None:
        """Delete these rows; the rest is free again. Raises SQLAlchemyError."""
        ...


class Inbox(Protocol):
    """The table, as a kind of database lets rows be claimed."""

    def claim(self) -> Claim | None:
        """Take the oldest free rows; None where there are none. Raises SQLAlchemyError, OSError."""
        ...

    def close(self) -> None:
        """Let others take rows, and close the connections."""
        ...


class PostgresInbox:
    """The inbox in PostgreSQL, for several workers; a claim has a connection to itself."""

    def __init__(self, engine: sa.Engine, bounds: ClaimBounds) -> None:
        self._engine = engine
        self._table = table = inbox_table("postgresql")
        self._look = _look(table, lambda most: sa.func.left(table.c.payload, most))
        self._bounds = bounds
        self._after = self._newest = 0
        self._look_everywhere_at_s = 0.0

    def claim(self) -> "PostgresClaim | None":
        """Lock the oldest rows that nobody has locked; one thread at a time."""
        connection = self._engine.connect()
        rows: list[ClaimedRow] = []
        try:
            rows = self._oldest(connection)
        finally:
            if not rows:
                connection.close()
        return PostgresClaim(connection, self._table, rows) if rows else None

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _oldest(self, connection: sa.Connection) -> list[ClaimedRow]:
        """Look behind the rows that are gone, which PostgreSQL would visit until it sweeps them.

        Now and then also among these: a row may come back there, or be committed late.
        """
        now_s = time.monotonic()
        everywhere = now_s >= self._look_everywhere_at_s
        after = 0 if everywhere else self._after
        rows = _rows(connection, self._look, self._bounds, after=after)
        if everywhere:
            self._look_everywhere_at_s = now_s + _LOOK_EVERYWHERE_SECONDS
            self._after = (rows[0].id if rows else self._newest) - _LATE_ROWS
        if rows:
            self._newest = max(self._newest, rows[-1].id)
        return rows


class PostgresClaim:
    """Rows locked by a transaction: it ends with their deletion, or with its connection."""

    is_kept = False

    def __init__(self, connection: sa.Connection, table: sa.Table, rows: list[ClaimedRow]) -> None:
        self.rows = rows
        self._connection = connection
        these = sa.any_(sa.bindparam("ids", type_=ARRAY(sa.BigInteger)))
        self._delete = sa.delete(table).where(table.c.id == these)

    def settle(self, ids: list[int]) -> None:
        """Delete these rows in the transaction that holds all of them, and end it."""
        with self._connection:
            if ids:
                self._connection.execute(self._delete, {"ids": ids})
                self._connection.commit()


class SqliteInbox:
    """The inbox in a SQLite file; one thread at a time claims, any settles."""

    def __init__(self, engine: sa.Engine, bounds: ClaimBounds, lock_path: Path) -> None:
        self._engine = engine
        self._table = table = inbox_table("sqlite")
        payload = sa.cast(table.c.payload, sa.LargeBinary)
        self._look = _look(table, lambda most: sa.func.substr(payload, 1, most))
        self._delete = sa.delete(table).where(table.c.id == sa.bindparam("row"))
        self._bounds = bounds
        self._lock_path = lock_path
        self._lock: int | None = None
        self._file: FileId | None = None
        self._taken = _BEFORE_ALL
        self._open: set[SqliteClaim] = set()

    def claim(self) -> "SqliteClaim | None":
        """Take the oldest rows behind those taken before; None also while another ingest does."""
        if not self._is_ours():
            return None
        with self._engine.connect() as connection:
            file = file_of(connection)
            if file != self._file:
                self._file = file
                self._open.clear()
            # Whatever is there while nothing is claimed was taken by nobody.
            after = self._taken if self._open else _BEFORE_ALL
            rows = _rows(connection, self._look, self._bounds, after=after)
        if not rows:
            return None
        self._taken = rows[-1].id
        claim = SqliteClaim(self, rows, file)
        self._open.add(claim)
        return claim

    def settle(self, claim: "SqliteClaim", ids: list[int]) -> None:
        """Delete rows of a claim in a transaction, and forget the claim."""
        with self._engine.begin() as connection:
            # In another file the same numbers are other rows.
            if ids and file_of(connection) == claim.file:
                connection.execute(self._delete, [{"row": one} for one in ids])
        self._open.discard(claim)

    def close(self) -> None:
        """Close the connections and let go of the lock, which also goes with the process."""
        self._engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _is_ours(self) -> bool:
        if self._lock is not None and not self._lock_is_there():
            os.close(self._lock)  # with its folder it was removed: another may hold a new one
            self._lock = None
        if self._lock is None:
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            lock = os.open(self._lock_path, flags, 0o660)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
        return True

    def _lock_is_there(self) -> bool:
        assert self._lock is not None
        try:
            return os.path.samestat(os.fstat(self._lock), self._lock_path.lstat())
        except FileNotFoundError:
            return False


class SqliteClaim:
    """Rows that this process alone takes."""

    is_kept = True

    def __init__(self, inbox: SqliteInbox, rows: list[ClaimedRow], file: FileId) -> None:
        self.rows = rows
        self.file = file
        self._inbox = inbox

    def settle(self, ids: list[int]) -> None:
        """Delete these rows."""
        self._inbox.settle(self, ids)


def _look(
    table: sa.Table, beginning: Callable[[sa.ColumnElement[int]], sa.ColumnElement[Any]]
) -> sa.Select[Any]:
    """Return the question for the oldest rows, locked where the database can, within the bounds.

    The rows are locked first and then cut to the bytes that a claim may hold, so that one step
    does for any size; `beginning` is the payload's, of so many bytes or characters.
    """
    most: sa.ColumnElement[int] = sa.bindparam("row_bytes", type_=sa.Integer)
    held = (
        sa.select(table.c.id, table.c.payload_bytes)
        .where(table.c.id > sa.bindparam("after"))
        .order_by(table.c.id)
        .limit(sa.bindparam("rows"))
        .with_for_update(skip_locked=True)
        .cte("held")
    )
    size = sa.case((held.c.payload_bytes > most, most), else_=held.c.payload_bytes)
    together = sa.func.sum(size).over(order_by=held.c.id).label("together")
    sized = sa.select(held.c.id, together).cte("sized")
    return (
        sa.select(
            table.c.id,
            beginning(most),
            table.c.payload_bytes,
            table.c.content_type,
            table.c.received_ms,
        )
        .join(sized, sized.c.id == table.c.id)
        .where(sized.c.together <= sa.bindparam("bytes", type_=sa.BigInteger))
        .order_by(table.c.id)
    )


def _rows(
    connection: sa.Connection, look: sa.Select[Any], bounds: ClaimBounds, *, after: int
) -> list[ClaimedRow]:
    found = connection.execute(
        look,
        {
            "after": after,
            "rows": bounds.rows,
            "bytes": bounds.bytes,
            "row_bytes": bounds.row_bytes,
        },
    )
    return [ClaimedRow(one, _bytes(payload), *rest) for one, payload, *rest in found]


def _bytes(payload: str | bytes | None) -> bytes:
    # The beginning of an empty blob is NULL in SQLite.
    return payload.encode() if isinstance(payload, str) else payload or b""
