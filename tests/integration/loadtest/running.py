"""Runs of Locust in processes of their own, and what they leave."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from loadtest.command import locust_environment
from loadtest.objectives import Judged
from stack.local import LocalStack
from stack.ports import reserve_port
from stack.process import ROOMS

RUN = [sys.executable, "-m", "loadtest", "run"]


def told(tmp_path: Path, **settings: str) -> dict[str, str]:
    """Return what a run is told: ten readers for three seconds, unless it says otherwise."""
    ours = {"READERS": "10", "STREAMS": "0", "DURATION_SECONDS": "3"}
    ours |= {"RESULTS_DIR": str(tmp_path / "results"), **settings}
    return {f"LOADTEST_{name}": text for name, text in ours.items()}


def publishing(local: LocalStack, tmp_path: Path, target: str, **settings: str) -> dict[str, str]:
    """Let publishers into the stack's broker, and return what a run of them is told."""
    broker = local.start_broker()
    broker.admit(
        [
            *("loadtest-1", "loadtest-2"),
            *(f"load-{slot}-{number:04}" for slot in (1, 2) for number in range(40)),
        ]
    )
    key = tmp_path / "fleet-key"
    key.write_text(local.fleet_key)
    ours = {"READERS": "1", "PUBLISHERS": "12", "FRESHNESS": "2", "TARGET": target}
    ours |= {"FLEET_KEY_FILE": str(key), "BROKER_PORT": str(broker.port)}
    return told(tmp_path, **{**ours, **settings})


def run(environment: Mapping[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    """Run to the end."""
    return subprocess.run(
        command or RUN,
        cwd=ROOMS,
        env=locust_environment(os.environ, environment),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@contextmanager
def running(environment: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Begin a run; it is ended with the block, where it has not ended by itself."""
    with subprocess.Popen(
        RUN,
        cwd=ROOMS,
        env=locust_environment(os.environ, environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def verdict(tmp_path: Path) -> dict[str, Judged]:
    """Return the verdict of a run, by objective."""
    found = json.loads((tmp_path / "results" / "verdict.json").read_text())
    return {row["objective"]: Judged(**row) for row in found}


def rows(tmp_path: Path) -> dict[str, dict[str, float]]:
    """Return the rows of Locust's table, by name."""
    found = json.loads((tmp_path / "results" / "stats.json").read_text())
    return {row["name"]: row for row in found}


def objectives(tmp_path: Path, limits: str, *, rate_percent: int = 20) -> str:
    """Write a file with one objective for everything, and return its path.

    Mostly the rate is not what a test is about, and a machine with other work does not make it.
    """
    path = tmp_path / "objectives.toml"
    rate = f"[run]\nrate_percent = {rate_percent}\n"
    path.write_text(f'[[objectives]]\noperation = "*"\n{limits}\n{rate}')
    return str(path)


def free_port() -> int:
    """Return a port that nobody else of us takes, nor a connection's own end, while we run."""
    return reserve_port().port
