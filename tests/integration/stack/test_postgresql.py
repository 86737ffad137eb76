"""A real PostgreSQL of a stack: nothing anonymous in it, and what it has committed it keeps."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from stack.local import LocalStack
from stack.postgresql import ADMIN, Postgresql


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with LocalStack() as local:
        yield local.start_postgresql()


@pytest.mark.parametrize("by_socket", [False, True], ids=["tcp", "socket"])
@pytest.mark.parametrize("password", ["wrong", ""])
def test_nobody_gets_in_without_the_password(
    server: Postgresql, password: str, by_socket: bool
) -> None:
    for user in (ADMIN, "postgres"):
        url = server.url(user, password, "postgres", by_socket=by_socket)
        with pytest.raises(psycopg.OperationalError, match=r"password"):
            psycopg.connect(url, connect_timeout=5)


def test_passwords_are_kept_as_scram_and_the_server_runs_as_nobody_special(
    server: Postgresql,
) -> None:
    with server.connect() as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolcanlogin").fetchall()

    assert kept
    assert all(word.startswith("SCRAM-SHA-256$") for (word,) in kept)
    assert Path(f"/proc/{server.pid}").stat().st_uid != 0
    assert not list(server.folder.glob("password*"))


def test_a_new_database_is_closed_to_those_who_are_not_let_in(server: Postgresql) -> None:
    server.create_database("closed")
    with server.connect() as connection:
        connection.execute("CREATE ROLE stranger LOGIN PASSWORD 'hush'")

    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(server.url("stranger", "hush", "closed"))


def test_what_was_committed_outlives_a_kill(server: Postgresql) -> None:
    server.create_database("kept")
    with server.connect("kept") as connection:
        connection.execute("CREATE TABLE numbers (number int)")
        connection.execute("INSERT INTO numbers VALUES (17)")
        server.kill()
    server.start()

    with server.connect("kept") as connection:
        assert connection.execute("SELECT number FROM numbers").fetchall() == [(17,)]
