"""A real influxd for one stack: found, started on files of its own, asked whether it is ready."""

import http.client
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from stack import StackError
from stack.process import Process
from stack.setup.influxdb import InfluxSetup
from stack.setup.plan import Plan
from stack.setup.server import Server
from stack.setup.tokens import TokenFolder
from telemetry.private_files import write_private
from telemetry.settings import Secret

VERSION = "2.9.1"
_HTTP_SECONDS = 2.0
_SETTINGS = {
    # One unbounded GROUP BY time() of InfluxQL can take all memory: with a limit it is an error.
    "INFLUXD_INFLUXQL_MAX_SELECT_BUCKETS": "100000",
    "INFLUXD_INFLUXQL_MAX_SELECT_SERIES": "100000",
    # It samples memory, locks and waits all the time, for pages that nobody reads: without, an
    # answer takes two thirds of the time.
    "INFLUXD_PPROF_DISABLED": "true",
    # Collecting half as often takes a tenth off the CPU of writes, for 20 MB.
    "GOGC": "200",
}


class InfluxdMissing(StackError):
    """Raised when no influxd is installed or built."""


def find_influxd() -> Path:
    """Return the path of influxd: on PATH, else where `make tools` puts it."""
    on_path = shutil.which("influxd")
    if on_path is not None and _is_supported(on_path):
        return Path(on_path)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    built = cache / "denyut" / "tools" / f"influxd-{VERSION}" / "influxd"
    if not os.access(built, os.X_OK):
        text = "influxd is not here: make tools (builds it), or put an influxd 2.7 to 2.9 on PATH"
        raise InfluxdMissing(text)
    return built


def _is_supported(path: str) -> bool:
    """Whether a program calls itself an influxd 2.7 to 2.9; stack/tools/influxd.sh asks so too."""
    try:
        asked = subprocess.run(  # noqa: S603
            [path, "version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return re.search(r"^InfluxDB v?2\.[789]\.", asked.stdout, re.MULTILINE) is not None


def set_up(url: str, folder: Path, tokens: Path) -> None:
    """Make a server of a local stack ready, with secrets that are kept in its folder."""
    operator_token, admin_password = (
        _kept_secret(folder / name) for name in ("operator-token", "admin-password")
    )
    plan = Plan()
    server = Server(url, operator_token, plan.org)
    for _change in InfluxSetup(server, plan).apply(TokenFolder(tokens), admin_password):
        pass
    server.close()


def _kept_secret(path: Path) -> Secret:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return Secret(path.read_text())


class Influxd(Process):
    """An InfluxDB server that keeps its files in a folder, so that it can be started again."""

    def __init__(
        self,
        folder: Path,
        host: str,
        port: int,
        *,
        environment: Mapping[str, str],
        log_path: Path,
    ) -> None:
        command = [
            str(find_influxd()),
            f"--bolt-path={folder / 'influxd.bolt'}",
            f"--sqlite-path={folder / 'influxd.sqlite'}",
            f"--engine-path={folder / 'engine'}",
            f"--http-bind-address={host}:{port}",
            "--reporting-disabled",
            "--log-level=warn",
        ]
        super().__init__(
            "influxdb", command, environment={**environment, **_SETTINGS}, log_path=log_path
        )
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://{self.host}:{self.port}"

    def lacks(self) -> str | None:
        """Return None when the server says that it passes its own health check."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=_HTTP_SECONDS)
        try:
            connection.request("GET", "/health")
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException) as error:
            return f"{self.url}/health: {error}"
        finally:
            connection.close()
        return None if status == http.client.OK else f"/health says {status}"
