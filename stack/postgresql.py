"""A real PostgreSQL for one stack: found, its data folder made, started, and databases made in it.

Nothing in it is anonymous: every connection, over the socket file too, shows a password by SCRAM.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from stack import StackError
from stack.process import Process
from telemetry.private_files import write_private

ADMIN = "denyut_admin"
_ADMIN_DATABASE = "postgres"
_DEBIAN = Path("/usr/lib/postgresql")
_CONNECT_SECONDS = 2
_INITDB_SECONDS = 60.0
_ACCESS = """# type  database  user  address       method
local   all       all                 scram-sha-256
host    all       all   127.0.0.1/32  scram-sha-256
"""
_SETTINGS = {
    "fsync": "on",
    "password_encryption": "scram-sha-256",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    # A machine of tests runs several servers.
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


class PostgresqlMissing(StackError):
    """Raised when no PostgreSQL server is installed."""


def find_postgresql() -> Path:
    """Return the folder of the server's programs: Debian's newest, else where PATH has them."""
    versions = [folder for folder in _DEBIAN.glob("*/bin") if (folder / "initdb").exists()]
    if versions:
        return max(versions, key=lambda folder: int(folder.parent.name))
    found = shutil.which("initdb")
    if found is None:
        raise PostgresqlMissing("PostgreSQL is not installed: apt-get install postgresql")
    return Path(found).resolve().parent


def postgresql_user() -> str | None:
    """Return whom the server runs as, which refuses to be root; None is who we are."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in users else "nobody"


class Postgresql(Process):
    """A PostgreSQL server that keeps its files in a folder, so that it can be started again."""

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        *,
        admin_password: str,
        environment: Mapping[str, str],
        log_path: Path,
    ) -> None:
        """Make the data folder where there is none; `folder` belongs to `postgresql_user`."""
        self.host = host
        self.port = port
        self.folder = folder
        self._admin_password = admin_password
        self._programs = find_postgresql()
        self._data = folder / "data"
        settings = {
            **_SETTINGS,
            "listen_addresses": host,
            "port": str(port),
            "unix_socket_directories": str(folder),
        }
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        super().__init__(
            "postgresql",
            command,
            environment=environment,
            log_path=log_path,
            user=postgresql_user(),
        )
        if not self._data.exists():
            self._make_data_folder()

    def url(self, user: str, password: str, database: str, *, by_socket: bool = False) -> str:
        """Return the address of a database for one of its users, over TCP or the socket file."""
        credentials = f"{quote(user, safe='')}:{quote(password, safe='')}"
        if by_socket:
            where = f"/{database}?host={quote(str(self.folder), safe='')}&port={self.port}"
            return f"postgresql://{credentials}@{where}"
        return f"postgresql://{credentials}@{self.host}:{self.port}/{database}"

    def admin_url(self, database: str = _ADMIN_DATABASE) -> str:
        """Return the address of a database for its administrator."""
        return self.url(ADMIN, self._admin_password, database)

    def create_database(self, name: str) -> str:
        """Make an empty database that only those get into who are let in; return its name."""
        identifier = sql.Identifier(name)
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
            everybody = sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(identifier)
            connection.execute(everybody)
        return name

    def connect(self, database: str = _ADMIN_DATABASE) -> psycopg.Connection:
        """Return a connection of the administrator, each statement in a transaction of its own."""
        return psycopg.connect(
            self.admin_url(database), autocommit=True, connect_timeout=_CONNECT_SECONDS
        )

    def lacks(self) -> str | None:
        """Return None when the server lets its administrator in, else what it says."""
        try:
            self.connect().close()
        except psycopg.OperationalError as error:
            return str(error)
        return None

    def terminate(self) -> None:
        """Ask the server to end its sessions and itself at once; its log has all that it kept.

        SIGTERM would wait for its clients, SIGINT for the syncing of each of its files.
        """
        self._signal(signal.SIGQUIT)

    def _make_data_folder(self) -> None:
        password_file = write_private(
            self.folder / "password", self._admin_password, owner=self.user
        )
        command = [str(self._programs / "initdb"), "-D", str(self._data), "-U", ADMIN]
        command += ["--auth=scram-sha-256", f"--pwfile={password_file}", "--encoding=UTF8"]
        # The server syncs what it writes; of an empty data folder nothing would be lost.
        command += ["--locale=C", "--no-instructions", "--no-sync"]
        made = subprocess.run(  # noqa: S603
            command,
            user=self.user,
            group=None if self.user is None else pwd.getpwnam(self.user).pw_gid,
            extra_groups=None if self.user is None else [],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=_INITDB_SECONDS,
            check=False,
        )
        password_file.unlink()
        if made.returncode != 0:
            raise StackError(f"initdb failed: {made.stderr.strip()}")
        write_private(self._data / "pg_hba.conf", _ACCESS, owner=self.user)
