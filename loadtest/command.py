"""Locust's own command line for a run, as the settings say, and what it may know of ours."""

import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from loadtest import LoadtestError
from loadtest.results import REPORT, STATS
from loadtest.settings import LoadtestSettings

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_STOP_SECONDS = 10
_MASTER_SECONDS = 120
_LOOK_SECONDS = 0.5


def locust_command(settings: LoadtestSettings, master: str = "") -> list[str]:
    """Return the command of a run; `master` is where a worker finds the one that leads."""
    return [
        sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--loglevel", "WARNING",
        *(_worker(settings, master) if master else _leader(settings)),
    ]  # fmt: skip


def _worker(settings: LoadtestSettings, master: str) -> list[str]:
    return ["--worker", "--master-host", master, "--master-port", str(settings.master_port)]


def _leader(settings: LoadtestSettings) -> list[str]:
    folder = Path(settings.results_dir)
    return [
        *(_page(settings) if settings.ui else ["--headless"]), "--only-summary",
        # For the report: each kind of users knows by itself whom it asks.
        "--host", settings.target, "--stop-timeout", str(_STOP_SECONDS),
        "--csv", str(folder / STATS), "--html", str(folder / REPORT),
        # Locust puts .json behind it by itself, and with it prints no tables: ours follow.
        "--json-file", str(folder / STATS), *_shared(settings),
    ]  # fmt: skip


def _page(settings: LoadtestSettings) -> list[str]:
    return ["--web-host", settings.ui_host, "--web-port", str(settings.ui_port)]


def _shared(settings: LoadtestSettings) -> list[str]:
    if settings.tasks > 1:
        return [
            "--master", "--master-bind-port", str(settings.master_port),
            "--expect-workers", str(settings.tasks - 1),
            "--expect-workers-max-wait", str(_MASTER_SECONDS),
        ]  # fmt: skip
    return ["--processes", str(settings.processes)] if settings.processes else []


def find_master(settings: LoadtestSettings, within_seconds: float = _MASTER_SECONDS) -> str:
    """Return the address at which somebody leads; LoadtestError where nobody does in time.

    In a Swarm a name stands for all tasks, and only the one of slot 1 listens.
    """
    deadline_s = time.monotonic() + within_seconds
    while True:
        for address in _addresses(settings):
            if _listens(address, settings.master_port):
                return address
        if time.monotonic() > deadline_s:
            raise LoadtestError(
                f"LOADTEST_MASTER_HOST={settings.master_host!r}: nobody leads there at port "
                f"{settings.master_port} within {within_seconds:g} s"
            )
        time.sleep(_LOOK_SECONDS)


def _addresses(settings: LoadtestSettings) -> list[str]:
    try:
        found = socket.getaddrinfo(
            settings.master_host, settings.master_port, type=socket.SOCK_STREAM
        )
    except OSError:
        return []
    return [str(one[4][0]) for one in found]


def _listens(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=_LOOK_SECONDS):
            return True
    except OSError:
        return False


def locust_environment(environment: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without Locust's own variables, and with those told."""
    ours = {name: text for name, text in environment.items() if not name.startswith("LOCUST_")}
    return {**ours, **told}
