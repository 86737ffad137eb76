"""An inbox of each kind, fresh for each test: in a file, and in a real PostgreSQL."""

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingest import inbox_schema
from ingest.sources.inbox import LOCK_SUFFIX, ClaimBounds, Inbox, PostgresInbox, SqliteInbox
from stack.local import LocalStack
from stack.postgresql import Postgresql
from telemetry.inbox import inbox_table, insert_payloads, open_engine, parse_url, sqlite_path
from telemetry.settings import Secret

BOUNDS = ClaimBounds(rows=100, bytes=100_000, row_bytes=1_000)
_numbers = itertools.count(1)


class AnInbox:
    """A table with nothing in it, and those who use it."""

    def __init__(self, claimer_url: Secret, sender_url: Secret, owner_url: Secret) -> None:
        self.url = claimer_url
        self.sender_url = sender_url
        self._opened = ExitStack()
        self.sender = self._engine(sender_url, timeout_seconds=10.0)
        self.owner = self._engine(owner_url, timeout_seconds=10.0)
        self.table = inbox_table(self.sender.dialect.name)

    @property
    def is_sqlite(self) -> bool:
        return self.sender.dialect.name == "sqlite"

    def put(self, *payloads: bytes, content_type: str | None = None) -> None:
        insert_payloads(self.sender, payloads, content_type)

    def ids(self) -> list[int]:
        """The rows that are there, claimed or not."""
        with self.owner.connect() as connection:
            return list(connection.execute(sa.select(self.table.c.id)).scalars())

    def worker(self, bounds: ClaimBounds = BOUNDS) -> Inbox:
        """One more who takes rows."""
        engine = self._engine(self.url)
        path = sqlite_path(engine.url)
        if path is None:
            return PostgresInbox(engine, bounds)
        inbox = SqliteInbox(engine, bounds, path.with_name(f"{path.name}{LOCK_SUFFIX}"))
        self._opened.callback(inbox.close)
        return inbox

    def close(self) -> None:
        self._opened.close()

    def _engine(self, url: Secret, *, timeout_seconds: float = 2.0) -> sa.Engine:
        engine = open_engine(
            url, "A_URL", connections=4, timeout_seconds=timeout_seconds, name="a test"
        )
        self._opened.callback(engine.dispose)
        return engine


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """A server, in which each test has a database of its own."""
    with LocalStack() as local:
        yield local.start_postgresql()


def make_inbox(server: Postgresql) -> AnInbox:
    """An inbox in a database of its own, with roles of its own."""
    database = server.create_database(f"inbox{next(_numbers)}")
    admin = Secret(server.admin_url(database))
    claimer = Secret(server.url(f"{database}_claimer", "hush'claimer", database))
    sender = Secret(server.url(f"{database}_sender", "hush/sender", database))
    inbox_schema.make_table(admin, "A_URL")
    inbox_schema.make_roles(
        parse_url(admin, "A_URL"),
        [
            inbox_schema.claimer(parse_url(claimer, "A_URL")),
            inbox_schema.sender(parse_url(sender, "A_URL")),
        ],
    )
    return AnInbox(claimer, sender, admin)


@pytest.fixture
def postgresql_inbox(postgresql: Postgresql) -> Iterator[AnInbox]:
    inbox = make_inbox(postgresql)
    yield inbox
    inbox.close()


@pytest.fixture
def sqlite_inbox(tmp_path: Path) -> Iterator[AnInbox]:
    url = Secret(f"sqlite:///{tmp_path}/in%20box.sqlite")
    inbox_schema.make_table(url, "A_URL")
    inbox = AnInbox(url, url, url)
    yield inbox
    inbox.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def inbox(request: pytest.FixtureRequest) -> AnInbox:
    """An inbox of each kind."""
    found: AnInbox = request.getfixturevalue(f"{request.param}_inbox")
    return found


@contextmanager
def locked(inbox: AnInbox) -> Iterator[None]:
    """Keep others from changing the table, as a long transaction of somebody else does."""
    with inbox.owner.connect() as connection:
        if inbox.is_sqlite:
            connection.exec_driver_sql("INSERT INTO denyut_inbox (payload) VALUES ('never')")
        else:
            connection.exec_driver_sql("LOCK TABLE denyut_inbox IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()
