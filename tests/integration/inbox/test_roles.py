"""Who leaves rows in PostgreSQL may do nothing else, and who takes them neither."""

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from ingest import inbox_schema
from stack.postgresql import ADMIN, Postgresql
from telemetry.inbox import parse_url
from telemetry.settings import Secret, SettingError
from tests.integration.inbox.conftest import AnInbox, make_inbox

_FOR_NEITHER = (
    "UPDATE denyut_inbox SET payload = 'other'",
    "UPDATE denyut_inbox SET received_ms = 0",
    "UPDATE denyut_inbox SET payload_bytes = 7",
    "TRUNCATE denyut_inbox",
    "DROP TABLE denyut_inbox",
    "ALTER TABLE denyut_inbox ADD COLUMN more int",
    "CREATE TABLE another (id int)",
    "CREATE SCHEMA another",
    "CREATE ROLE another",
    "CREATE DATABASE another",
    "SELECT pg_read_file('/etc/passwd')",
    "COPY denyut_inbox TO PROGRAM 'true'",
)
_FOR_SENDERS = (
    "SELECT count(*) FROM denyut_inbox",
    "INSERT INTO denyut_inbox (payload) VALUES ('{}') RETURNING payload",
    "INSERT INTO denyut_inbox (payload, received_ms) VALUES ('{}', 1)",
    "INSERT INTO denyut_inbox (id, payload) OVERRIDING SYSTEM VALUE VALUES (1, '{}')",
    "DELETE FROM denyut_inbox",
    "BEGIN; LOCK TABLE denyut_inbox IN ACCESS EXCLUSIVE MODE",
    "SELECT nextval('denyut_inbox_id_seq')",
    *_FOR_NEITHER,
)
_FOR_CLAIMERS = ("INSERT INTO denyut_inbox (payload) VALUES ('{}')", *_FOR_NEITHER)


@pytest.fixture(scope="module")
def shared_inbox(postgresql: Postgresql) -> Iterator[AnInbox]:
    """An inbox with a row in it, which is there however often it is tried."""
    inbox = make_inbox(postgresql)
    inbox.put(b"{}")
    yield inbox
    inbox.close()


def _check_refused(url: Secret, statement: str) -> None:
    address = parse_url(url, "A_URL").set(drivername="postgresql")
    with (
        psycopg.connect(
            address.render_as_string(hide_password=False), autocommit=True
        ) as connection,
        pytest.raises((errors.InsufficientPrivilege, errors.GeneratedAlways)),
    ):
        connection.execute(statement.encode())


@pytest.mark.parametrize("statement", _FOR_SENDERS)
def test_a_sender_may_only_insert(shared_inbox: AnInbox, statement: str) -> None:
    _check_refused(shared_inbox.sender_url, statement)

    assert len(shared_inbox.ids()) == 1


@pytest.mark.parametrize("statement", _FOR_CLAIMERS)
def test_a_claimer_may_only_read_lock_and_delete(shared_inbox: AnInbox, statement: str) -> None:
    _check_refused(shared_inbox.url, statement)

    assert len(shared_inbox.ids()) == 1


def test_neither_gets_in_with_the_others_password_or_into_another_database(
    postgresql: Postgresql, postgresql_inbox: AnInbox
) -> None:
    address = parse_url(postgresql_inbox.url, "A_URL")
    postgresql.create_database(f"{address.database}_other")
    for wrong in (
        address.set(password="hush/sender"),
        address.set(database=f"{address.database}_other"),
    ):
        engine = sa.create_engine(wrong)
        with pytest.raises(DBAPIError, match=r"authentication failed|permission denied"):
            engine.connect()
        engine.dispose()


def test_made_again_the_passwords_are_new_and_the_rows_stay(
    postgresql: Postgresql, postgresql_inbox: AnInbox
) -> None:
    postgresql_inbox.put(b"{}")
    claimer, sender = (
        parse_url(url, "A_URL") for url in (postgresql_inbox.url, postgresql_inbox.sender_url)
    )
    admin = Secret(postgresql.admin_url(str(claimer.database)))
    new = claimer.set(password="renewed")

    inbox_schema.make_table(admin, "ADMIN")
    inbox_schema.make_roles(
        parse_url(admin, "ADMIN"), [inbox_schema.claimer(new), inbox_schema.sender(sender)]
    )

    old_engine, new_engine = sa.create_engine(claimer), sa.create_engine(new)
    with new_engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM denyut_inbox").scalar() == 1
    with pytest.raises(DBAPIError, match="authentication failed"):
        old_engine.connect()
    new_engine.dispose()
    old_engine.dispose()


def test_a_user_with_more_power_is_not_made_a_role_of_the_inbox(postgresql: Postgresql) -> None:
    database = postgresql.create_database("powers")
    admin = Secret(postgresql.admin_url(database))
    inbox_schema.make_table(admin, "ADMIN")
    with postgresql.connect() as connection:
        connection.execute("CREATE ROLE manager LOGIN CREATEROLE PASSWORD 'hush'")
    url = parse_url(admin, "ADMIN")
    manager = inbox_schema.sender(url.set(username="manager", password="hush"))
    claimer = inbox_schema.claimer(url.set(username="powerless", password="hush"))

    with pytest.raises(SettingError, match="manager may do more"):
        inbox_schema.make_roles(url, [claimer, manager])
    with pytest.raises(SettingError, match="three users"):
        inbox_schema.make_roles(url, [claimer, inbox_schema.sender(url.set(username=ADMIN))])
