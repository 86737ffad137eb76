"""A pipeline on this machine for a load test: started, loaded, and stopped again."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from loadtest.command import locust_environment
from loadtest.settings import LoadtestSettings
from stack.local import LocalStack
from stack.process import ROOMS
from telemetry.private_files import write_private

# Less than one process of Locust's and one ingest make on two cores, so that it can be held.
USUAL = {
    "LOADTEST_READERS": "20",
    "LOADTEST_STREAMS": "4",
    "LOADTEST_PUBLISHERS": "60",
    "LOADTEST_FRESHNESS": "2",
}
_FLEET, _FLEET_DEVICES = "demo", 50
_WATCH_SECONDS = 0.5
_ENDED_WITHIN_SECONDS = 90.0


def run_locally(store: str, console: Console, environment: Mapping[str, str] = os.environ) -> int:
    """Start broker, store, ingest, API and a small fleet, load them, and return the exit code."""
    told = {**USUAL, **environment}
    settings = LoadtestSettings.load({**told, "LOADTEST_FLEET_KEY": "made below"})
    logs = Path(settings.results_dir) / "logs"
    with LocalStack(logs=logs) as local:
        with console.status("starting Mosquitto, the store, ingest and the API"):
            told |= _start(local, settings, store)
        return _load(local, locust_environment(told, {}))


def _start(local: LocalStack, settings: LoadtestSettings, store: str) -> dict[str, str]:
    """Start all that is needed, and return what the run has to be told of it."""
    broker = local.start_broker()
    if store == "influxdb":
        local.start_influxdb()
    local.start_ingest()
    api = local.start_api()
    # What readers ask for; its devices are not the load.
    local.start_fleet(_FLEET, devices=_FLEET_DEVICES)
    # A user that begins while another leaves has a number of its own.
    count = 2 * (settings.publishers + settings.freshness) + settings.processes
    names = (f"load-{settings.slot}-{number:04}" for number in range(count))
    broker.admit([f"loadtest-{settings.slot}", *names])
    key = write_private(local.folder / "loadtest-fleet-key", local.fleet_key)
    return {
        "LOADTEST_TARGET": api.url,
        "LOADTEST_BROKER_HOST": broker.host,
        "LOADTEST_BROKER_PORT": str(broker.port),
        "LOADTEST_FLEET_KEY_FILE": str(key),
    }


def _load(local: LocalStack, environment: Mapping[str, str]) -> int:
    command = [sys.executable, "-m", "loadtest", "run"]
    with subprocess.Popen(command, cwd=ROOMS, env=dict(environment)) as process:  # noqa: S603
        try:
            while process.poll() is None:
                local.check_running()
                time.sleep(_WATCH_SECONDS)
        except BaseException:
            # It judges what it has, and says that it was cut short.
            process.terminate()
            process.wait(_ENDED_WITHIN_SECONDS)
            raise
        return process.returncode
