"""The inbox: a table in a shared database, in which senders leave payloads, a row each.

It stands in PostgreSQL, or in a SQLite file on a volume of one machine. What a sender has committed
is the database's to keep, until an ingest has made it durable and deletes it.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from telemetry.fileid import FileId, file_at
from telemetry.settings import Secret, SettingError

NAME = "denyut_inbox"
SENDERS_COLUMNS = ("payload", "content_type")
"""What a sender may fill in; the database does the rest."""
CONTENT_TYPE_CHARACTERS = 127

_ALLOWED = "postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///PATH is allowed"
_FILE = "file"
_INTEGER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_EXPRESSIONS = {
    # The size of the payload in bytes, and now in milliseconds since the epoch.
    "postgresql": ("octet_length(payload)", "(extract(epoch FROM now()) * 1000)::bigint"),
    "sqlite": (
        "length(CAST(payload AS BLOB))",
        "(CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER))",
    ),
}
# A host that is gone is noticed within about 20 s, on both sides: a lost worker frees its rows.
_TCP = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 2}
_TCP_MS = 20_000


class NotText(ValueError):
    """Raised when a payload cannot stand in the table; `place` is which one."""

    def __init__(self, why: str, place: int) -> None:
        super().__init__(why)
        self.place = place


def inbox_table(dialect: str) -> sa.Table:
    """Return the table as a kind of database has it."""
    payload_bytes, now_ms = _EXPRESSIONS[dialect]
    return sa.Table(
        NAME,
        sa.MetaData(),
        sa.Column("id", _INTEGER, sa.Identity(always=True), primary_key=True),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("payload_bytes", sa.Integer, sa.Computed(payload_bytes, persisted=True)),
        sa.Column("content_type", sa.Text),
        sa.Column("received_ms", _INTEGER, nullable=False, server_default=sa.text(now_ms)),
        sa.CheckConstraint(f"length(content_type) <= {CONTENT_TYPE_CHARACTERS}"),
        implicit_returning=False,
        sqlite_autoincrement=True,
        sqlite_strict=True,
    )


def parse_url(url: Secret, variable: str) -> sa.URL:
    """Return the address of a database; SettingError, which does not tell it, where it is none."""
    try:
        parsed = sa.make_url(url.value)
    except (ArgumentError, ValueError):
        raise SettingError(f"{variable}: {_ALLOWED}") from None
    if parsed.drivername == "sqlite" and not parsed.host and parsed.database:
        # Never made by looking into it: a wrong path is an error.
        uri = f"file:{quote(unquote(urlsplit(url.value).path[1:]))}"
        return sa.URL.create("sqlite", database=uri, query={"mode": "rw", "uri": "true"})
    if parsed.drivername == "postgresql" and parsed.username and parsed.database:
        return parsed.set(drivername="postgresql+psycopg")
    raise SettingError(f"{variable}: {_ALLOWED}")


def sqlite_path(url: sa.URL) -> Path | None:
    """Return the file of a SQLite inbox; None where the inbox is another database's."""
    if url.drivername != "sqlite":
        return None
    return Path(unquote(str(url.database).removeprefix("file:")))


def open_engine(
    url: Secret, variable: str, *, connections: int, timeout_seconds: float, name: str
) -> sa.Engine:
    """Return an engine with so many connections at most; nothing is connected before its first use.

    `timeout_seconds` bounds the making of a connection, a statement and the wait for a lock; `name`
    is what the server shows. A password that is new in its file is noticed. Raises SettingError.
    """
    address = parse_url(url, variable)
    path = sqlite_path(address)
    bounds = {"pool_size": connections, "max_overflow": 0, "pool_timeout": timeout_seconds}
    if path is not None:
        # Its driver begins a transaction with the first change, and then takes the write lock.
        settings = {"isolation_level": "IMMEDIATE", "timeout": timeout_seconds}
        engine = sa.create_engine(address, connect_args=settings, **bounds)
        sa.event.listen(engine, "connect", partial(_prepare_sqlite, path))
        sa.event.listen(engine, "checkout", partial(_check_file, path))
        return engine
    settings = _postgresql_settings(address, timeout_seconds, name)
    engine = sa.create_engine(address, connect_args=settings, **bounds)

    def use_password_of_now(_dialect: object, _record: object, _args: object, given: Any) -> None:
        given["password"] = parse_url(url.reread(), variable).password

    sa.event.listen(engine, "do_connect", use_password_of_now)
    return engine


def insert_payloads(
    engine: sa.Engine, payloads: Sequence[bytes], content_type: str | None = None
) -> None:
    """Leave payloads for ingest, in one transaction: when it returns, the database has all of them.

    Raises NotText before it begins, and SQLAlchemyError.
    """
    rows = [
        {"payload": _text(payload, place), "content_type": content_type}
        for place, payload in enumerate(payloads)
    ]
    with engine.begin() as connection:
        connection.execute(_insert(engine), rows)


def check_sender(engine: sa.Engine) -> None:
    """Raise SQLAlchemyError where rows cannot be left; leaves none."""
    nothing = sa.select(sa.literal("")).where(sa.false())
    with engine.begin() as connection:
        connection.execute(_insert(engine).from_select(["payload"], nothing))


def in_words(error: SQLAlchemyError) -> str:
    """Return what a database or its driver said, in one line."""
    said = str(error.orig if isinstance(error, DBAPIError) and error.orig else error)
    return said.strip().partition("\n")[0] or type(error).__name__


def _insert(engine: sa.Engine) -> sa.Insert:
    # A sender may not ask which numbers its rows got.
    return inbox_table(engine.dialect.name).insert().inline()


def _text(payload: bytes, place: int) -> str:
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise NotText(f"not UTF-8: {error.reason}", place) from None
    if "\0" in text:
        raise NotText("a NUL is in it, which PostgreSQL takes in no text", place)
    return text


def _postgresql_settings(url: sa.URL, timeout_seconds: float, name: str) -> dict[str, object]:
    statement_ms = int(timeout_seconds * 1000)
    session = {
        "statement_timeout": statement_ms,
        "lock_timeout": statement_ms // 2,
        "tcp_user_timeout": _TCP_MS,
        **{f"tcp_{option}": value for option, value in _TCP.items()},
    }
    options = [f"-c {option}={value}" for option, value in session.items()]
    return {
        "connect_timeout": max(2, round(timeout_seconds)),
        "application_name": name,
        "options": " ".join([*options, str(url.query.get("options", ""))]),
        "tcp_user_timeout": _TCP_MS,
        **_TCP,
    }


def file_of(connection: sa.Connection) -> FileId:
    """Return which file a connection to a SQLite inbox has open."""
    found: FileId = connection.info[_FILE]
    return found


def _prepare_sqlite(path: Path, connection: sqlite3.Connection, record: Any) -> None:
    # Text that is not UTF-8 would make every look into the table fail.
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    connection.execute("PRAGMA synchronous=FULL")
    record.info[_FILE] = file_at(path)


def _check_file(path: Path, _connection: object, record: Any, _proxy: object) -> None:
    """Let a connection be made anew whose file is gone: what is written there reaches nobody."""
    now = file_at(path)
    if now is None or now != record.info[_FILE]:
        raise sa.exc.DisconnectionError(f"{path} is another file now")
