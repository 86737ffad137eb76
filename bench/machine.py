"""On what was measured: the machine, and the version of each part."""

import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.telegraf import find_telegraf, version_of
from stack import StackError
from stack.broker import find_mosquitto
from stack.influxdb import find_influxd


def described() -> str:
    """Return the machine and the versions of the parts in one line."""
    cores = len(os.sched_getaffinity(0))
    parts = {
        "Mosquitto": lambda: _said([str(find_mosquitto()), "-h"], r"mosquitto version (\S+)"),
        "InfluxDB": lambda: _said([str(find_influxd()), "version"], r"InfluxDB v?(\S+)"),
        "Telegraf": lambda: version_of(find_telegraf()),
    }
    versions = ", ".join(f"{name} {_or_not_here(ask)}" for name, ask in parts.items())
    load = os.getloadavg()[0]
    return (
        f"{cores} cores of {_processor()}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, {versions}; load before: {load:.1f}"
    )


def _processor() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _said(command: list[str], pattern: str) -> str:
    asked = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=20, check=False
    )
    found = re.search(pattern, asked.stdout)
    return found[1] if found else "of no version it would tell"


def _or_not_here(ask: Callable[[], str]) -> str:
    try:
        return ask()
    except StackError:
        return "not here"
