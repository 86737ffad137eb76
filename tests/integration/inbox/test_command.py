"""`python -m ingest inbox create`, and what an ingest says of a database's address."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from stack.inbox import make_postgresql_inbox, make_sqlite_inbox
from stack.postgresql import Postgresql
from telemetry.inbox import insert_payloads, open_engine
from telemetry.settings import Secret

_ENVIRONMENT = {"PATH": os.environ["PATH"]}


def ingest(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        env={**_ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_it_makes_a_file_that_only_its_owner_and_group_may_use(tmp_path: Path) -> None:
    make_sqlite_inbox(tmp_path, _ENVIRONMENT)

    path = tmp_path / "inbox.sqlite"
    assert path.stat().st_mode & 0o007 == 0
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("SELECT count(*) FROM denyut_inbox").fetchone() == (0,)
    connection.close()


def test_it_makes_the_table_and_both_roles_in_a_postgresql(
    postgresql: Postgresql, tmp_path: Path
) -> None:
    inbox = make_postgresql_inbox(postgresql, "made", tmp_path, _ENVIRONMENT)

    for file in (inbox.sender_url_file, inbox.claimer_url_file):
        assert file.stat().st_mode & 0o077 == 0
    sender = open_engine(
        Secret("", str(inbox.sender_url_file)).reread(),
        "A_URL",
        connections=1,
        timeout_seconds=2.0,
        name="a test",
    )
    insert_payloads(sender, [b"{}"])
    sender.dispose()


def test_what_is_wrong_is_one_line_without_the_address(tmp_path: Path) -> None:
    for arguments, environment, said in (
        (["inbox", "create"], {}, "INBOX_CLAIMER_URL (or INBOX_CLAIMER_URL_FILE) is not set"),
        (["inbox", "create"], {"INBOX_CLAIMER_URL": "mysql://a:hush@b/c"}, "INBOX_CLAIMER_URL: "),
        (["inbox", "create"], {"INBOX_CLAIMER_URL": "hush"}, "INBOX_CLAIMER_URL: "),
        (
            ["inbox", "create"],
            {"INBOX_CLAIMER_URL": "postgresql://a:hush@b/c"},
            "PostgreSQL needs INBOX_ADMIN_URL and INBOX_SENDER_URL as well",
        ),
        (
            ["inbox", "create"],
            {"INBOX_CLAIMER_URL": f"sqlite:///{tmp_path}/hushed/none.sqlite"},
            "[Errno 2] No such file or directory",
        ),
        (
            ["run"],
            {
                "INGEST_MQTT": "false",
                "INGEST_STORE_URL": f"sqlite:///{tmp_path}/store.db",
                "INGEST_DATABASE_URL": "postgresql://a:hush@b:nonsense/c",
            },
            "INGEST_DATABASE_URL: postgresql://USER:PASSWORD@HOST/DATABASE or sqlite:///PATH is",
        ),
    ):
        run = ingest(*arguments, **environment)

        assert run.returncode == 2
        assert run.stderr.startswith(f"ingest: {said}")
        assert run.stderr.count("\n") == 1
        assert "hush@" not in run.stderr
