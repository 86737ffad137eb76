"""What a message costs the load test's MQTT user, and whether its search finds a limit."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from bench.governor import held_to
from bench.pipeline import figure
from bench.row import Row
from loadtest.command import locust_environment
from loadtest.objectives import Judged
from loadtest.results import STEPS, VERDICT
from loadtest.search import Step
from stack import StackError
from stack.local import LocalStack
from stack.process import ROOMS
from stack.services import Service
from telemetry.private_files import write_private

_ISSUE = 9
_USERS, _RATE = 100, 100
_ROUNDS = 2
_LEAST_RATIO = 2.0
_FILE = Path(__file__).with_name("mqtt_users.py")
_SHARE, _NEAR = 0.2, 0.15
_PUBLISHERS, _PUBLISHER_RATE = 250, 40
_OVERLOAD = 1.5  # times the knee: more than ingest can take, and no more than the machine
_WARM_SECONDS, _MEASURE_SECONDS = 15, 15
_LEAST_OF_SHARE = 0.9
# What waits grows by a second in a step that is a twentieth above the limit.
_STEP_SECONDS = 20
_OBJECTIVES = """
[[objectives]]
operation = "freshness"
users = "freshness"
p99_ms = 1_500
"""


def mqtt_user() -> Iterator[Row]:
    """Messages a CPU second at more than either can do, in turn; the best of each counts."""
    with LocalStack() as local:
        environment = _environment(local, users=_USERS)
        local.start_ingest()
        for qos in ("0", "1", "2"):
            found: dict[str, list[float]] = {"ours": [], "stock": []}
            for _ in range(_ROUNDS):
                for user, rates in found.items():
                    told = {"BENCH_MQTT_USER": user, "LOADTEST_PUBLISHER_QOS": qos}
                    rates.append(_messages_a_cpu_second({**environment, **told}))
            ours, stock = max(found["ours"]), max(found["stock"])
            yield Row(
                f"loadtest MQTT user, messages a CPU second at QoS {qos}, against Locust's own",
                round(ours),
                round(stock),
                round(ours / stock, 2),
                f">= {_LEAST_RATIO:g} times",
                ours >= _LEAST_RATIO * stock,
                _ISSUE,
            )


def limit() -> Iterator[Row]:
    """The knee that a search finds with ingest held to a fifth of a core, and what it really is."""
    with LocalStack() as local:
        environment = _environment(local, users=2 * _PUBLISHERS)
        ingest, api = local.start_ingest(), local.start_api()
        environment |= {
            "LOADTEST_TARGET": api.url,
            "LOADTEST_READERS": "0",
            "LOADTEST_STREAMS": "0",
            "LOADTEST_PUBLISHERS": str(_PUBLISHERS),
            "LOADTEST_PUBLISHER_RATE": str(_PUBLISHER_RATE),
            "LOADTEST_PUBLISHER_QOS": "1",
        }
        with held_to(ingest, _SHARE):
            knee = _knee(local, environment)
            publishers = min(_PUBLISHERS, round(_OVERLOAD * knee / _PUBLISHER_RATE))
            environment["LOADTEST_PUBLISHERS"] = str(publishers)
            really = _stored_a_second(ingest, environment)
    yield Row(
        "loadtest limit found, readings/s, against what ingest stores on a fifth of a core",
        round(knee),
        round(really),
        round(knee / really, 3),
        f"within {_NEAR:.0%}",
        abs(knee / really - 1) <= _NEAR,
        _ISSUE,
    )


def _environment(local: LocalStack, *, users: int) -> dict[str, str]:
    broker = local.start_broker()
    broker.admit(["loadtest-1", *(f"load-1-{number:04}" for number in range(users))])
    return locust_environment(
        os.environ,
        {
            "LOADTEST_BROKER_PORT": str(broker.port),
            "LOADTEST_FLEET_KEY_FILE": str(
                write_private(local.folder / "loadtest-key", local.fleet_key)
            ),
            "LOADTEST_PUBLISHER_RATE": str(_RATE),
            "LOADTEST_RESULTS_DIR": str(local.folder / "loadtest"),
            "LOADTEST_SPAWN_RATE": "200",
        },
    )


def _messages_a_cpu_second(environment: Mapping[str, str]) -> float:
    command = [
        sys.executable, "-W", "ignore", "-m", "locust", "--locustfile", str(_FILE), "--headless",
        "--users", str(_USERS), "--spawn-rate", str(_USERS), "--only-summary",
    ]  # fmt: skip
    done = _run(command, environment)
    line = next((one for one in done.stdout.splitlines() if one.startswith("measured ")), None)
    if line is None:
        raise StackError(f"void: {done.stderr[-500:]}")
    _word, messages, cpu_seconds = line.split()
    return float(messages) / float(cpu_seconds)


def _knee(local: LocalStack, environment: Mapping[str, str]) -> float:
    objectives = local.folder / "objectives.toml"
    objectives.write_text(_OBJECTIVES, encoding="utf-8")
    told = {
        "LOADTEST_SHAPE": "limit",
        "LOADTEST_LIMIT_STEP_SECONDS": str(_STEP_SECONDS),
        "LOADTEST_FRESHNESS": "2",
        "LOADTEST_OBJECTIVES": str(objectives),
    }
    done = _run([sys.executable, "-m", "loadtest", "run"], {**environment, **told})
    results = local.folder / "loadtest"
    if not (results / STEPS).exists():
        raise StackError(f"void: the search did not end: {done.stderr[-500:]}")
    steps = msgspec.json.decode((results / STEPS).read_bytes(), type=list[Step])
    verdict = msgspec.json.decode((results / VERDICT).read_bytes(), type=list[Judged])
    knee = next(one.result for one in verdict if one.objective.startswith("knee"))
    if knee is None or all(step.held for step in steps):
        raise StackError("void: the search found no limit within its load")
    return knee


def _stored_a_second(ingest: Service, environment: Mapping[str, str]) -> float:
    """Return what is stored under more load than ingest can take."""
    told = {"LOADTEST_DURATION_SECONDS": "600", **environment}
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run"],
        cwd=ROOMS,
        env=told,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as load:
        try:
            time.sleep(_WARM_SECONDS)
            began_s, before, cpu_s = time.monotonic(), _written(ingest), ingest.usage().cpu_seconds
            time.sleep(_MEASURE_SECONDS)
            written, seconds = _written(ingest) - before, time.monotonic() - began_s
            share = (ingest.usage().cpu_seconds - cpu_s) / seconds
        finally:
            load.kill()
    if share < _LEAST_OF_SHARE * _SHARE:
        raise StackError(f"void: ingest had {share:.2f} of a core, and is to have {_SHARE:g}")
    return written / seconds


def _written(ingest: Service) -> float:
    # It is halted most of the time.
    return figure(ingest, "ingest", "written_readings", timeout_seconds=30.0)


def _run(command: list[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        command,
        cwd=ROOMS,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=1_200,
        check=False,
    )
