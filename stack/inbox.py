"""The inbox of a local stack: a table in a PostgreSQL or in a SQLite file, as its command makes it.

The addresses hold passwords, so they are given to the services as files.
"""

import secrets
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from stack import StackError
from stack.postgresql import Postgresql
from stack.process import ROOMS
from telemetry.private_files import write_private

_PASSWORD_BYTES = 32
_MADE_WITHIN_SECONDS = 60


class Inbox(Struct, frozen=True):
    """The files with the inbox's address for those who leave rows and for those who take them."""

    sender_url_file: Path
    claimer_url_file: Path


def make_sqlite_inbox(folder: Path, environment: Mapping[str, str]) -> Inbox:
    """Make an inbox in a file of a folder, which is its senders' and its claimers' alike."""
    file = write_private(folder / "inbox-url", f"sqlite:///{folder / 'inbox.sqlite'}")
    return _made(Inbox(file, file), {}, environment)


def make_postgresql_inbox(
    server: Postgresql, database: str, folder: Path, environment: Mapping[str, str]
) -> Inbox:
    """Make an inbox in a database of its own; `folder` gets the addresses."""
    server.create_database(database)
    addresses = {
        who: server.url(f"{database}_{who}", secrets.token_urlsafe(_PASSWORD_BYTES), database)
        for who in ("sender", "claimer")
    }
    files = {
        who: write_private(folder / f"{database}-{who}-url", url)
        for who, url in {**addresses, "admin": server.admin_url(database)}.items()
    }
    told = {"INBOX_ADMIN_URL_FILE": files["admin"], "INBOX_SENDER_URL_FILE": files["sender"]}
    return _made(Inbox(files["sender"], files["claimer"]), told, environment)


def _made(inbox: Inbox, told: Mapping[str, Path], environment: Mapping[str, str]) -> Inbox:
    files = {**told, "INBOX_CLAIMER_URL_FILE": inbox.claimer_url_file}
    asked = subprocess.run(
        [sys.executable, "-m", "ingest", "inbox", "create"],
        cwd=ROOMS,
        env={**environment, **{name: str(path) for name, path in files.items()}},
        capture_output=True,
        text=True,
        timeout=_MADE_WITHIN_SECONDS,
        check=False,
    )
    if asked.returncode != 0:
        raise StackError(asked.stderr.strip())
    return inbox
