"""Locust's own command line for a run, as the settings say, and what it may know of ours."""

import sys
from collections.abc import Mapping
from pathlib import Path

from loadtest.settings import LoadtestSettings

LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_STOP_SECONDS = 10


def locust_command(settings: LoadtestSettings) -> list[str]:
    """Return the command of a run without a page."""
    folder = Path(settings.results_dir)
    shared = ["--processes", str(settings.processes)] if settings.processes else []
    return [
        sys.executable, "-m", "locust", "--locustfile", str(LOCUSTFILE), "--headless",
        "--only-summary", "--loglevel", "WARNING", "--stop-timeout", str(_STOP_SECONDS),
        "--csv", str(folder / "stats"), "--html", str(folder / "report.html"),
        # Locust puts .json behind it by itself, and with it prints no tables: ours follow.
        "--json-file", str(folder / "stats"), *shared,
    ]  # fmt: skip


def locust_environment(environment: Mapping[str, str], told: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without Locust's own variables, and with those told."""
    ours = {name: text for name, text in environment.items() if not name.startswith("LOCUST_")}
    return {**ours, **told}
