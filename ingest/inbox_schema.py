"""Making the inbox: its table, and in PostgreSQL the two roles that share it.

A sender may insert, and no more. A claimer may read and delete, and lock rows: that PostgreSQL
allows only to those who may update a column, so it is the generated one, which never changes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress

import psycopg
from msgspec import Struct
from psycopg import sql
from sqlalchemy import URL
from sqlalchemy.schema import CreateTable

from telemetry.inbox import NAME, SENDERS_COLUMNS, inbox_table, open_engine, parse_url, sqlite_path
from telemetry.settings import Secret, SettingError

_TIMEOUT_SECONDS = 10.0
_TABLE = sql.Identifier(NAME)
_INSERT = sql.SQL("INSERT ({})").format(sql.SQL(", ").join(map(sql.Identifier, SENDERS_COLUMNS)))
_CLAIM = sql.SQL("SELECT, DELETE, UPDATE (payload_bytes)")
_POWERS = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = %s"


class Role(Struct, frozen=True):
    """Who may do what with the table; the address has the name and the password."""

    url: URL
    rights: sql.SQL | sql.Composed


def sender(url: URL) -> Role:
    """Return who leaves payloads."""
    return Role(url, _INSERT)


def claimer(url: URL) -> Role:
    """Return who takes them."""
    return Role(url, _CLAIM)


def make_table(url: Secret, variable: str) -> None:
    """Make the table where it is not there yet. Raises SettingError, SQLAlchemyError, OSError."""
    path = sqlite_path(parse_url(url, variable))
    if path is not None:
        with suppress(FileExistsError):
            # SQLite gives those that it makes beside it the same rights: a group may share them.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660))
    engine = open_engine(
        url, variable, connections=1, timeout_seconds=_TIMEOUT_SECONDS, name="denyut inbox create"
    )
    try:
        if path is not None:
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
        # In one statement: several ingests may do this at once.
        with engine.begin() as connection:
            connection.execute(CreateTable(inbox_table(engine.dialect.name), if_not_exists=True))
    finally:
        engine.dispose()


def make_roles(admin: URL, roles: Sequence[Role]) -> None:
    """Make the roles where they are not there yet, and let each do what it may and nothing else.

    Raises SettingError where a name is that of somebody with more power, and psycopg.Error.
    """
    names = [admin.username, *(role.url.username for role in roles)]
    if len(set(names)) < len(names):
        raise SettingError("the inbox's administrator, claimer and sender have to be three users")
    address = admin.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, connect_timeout=round(_TIMEOUT_SECONDS)) as connection:
        connection.execute(sql.SQL("REVOKE ALL ON {} FROM PUBLIC").format(_TABLE))
        for role in roles:
            for statement in _statements(connection, role):
                connection.execute(statement)


def _statements(connection: psycopg.Connection, role: Role) -> Iterator[sql.Composed]:
    name, password = str(role.url.username), str(role.url.password or "")
    if not password:
        raise SettingError(f"the address of {name} has no password")
    found = connection.execute(_POWERS, [name]).fetchone()
    if found is not None and found[0]:
        raise SettingError(f"{name} may do more than use the inbox: choose another name")
    user = sql.Identifier(name)
    # Made here, so that the password itself is in no statement that a server may log.
    verifier = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    ).decode()
    make = sql.SQL("CREATE ROLE {}" if found is None else "ALTER ROLE {}").format(user)
    yield sql.SQL("{} LOGIN NOINHERIT PASSWORD {}").format(make, sql.Literal(verifier))
    yield sql.SQL("REVOKE ALL ON {} FROM {}").format(_TABLE, user)
    yield sql.SQL("GRANT {} ON {} TO {}").format(role.rights, _TABLE, user)
    database = sql.Identifier(connection.info.dbname)
    yield sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, user)
