"""Whole runs of Locust on the real parts: what is measured, what is lost, what breaks meanwhile."""

import json
import socket
from pathlib import Path

import pytest

from stack.local import LocalStack
from stack.services import Service
from telemetry.store import Store
from tests.eventually import eventually
from tests.integration.loadtest.running import (
    free_port,
    objectives,
    publishing,
    rows,
    run,
    running,
    verdict,
)

pytestmark = pytest.mark.timeout(120)

PUBLISHING = {"publish:qos0", "publish:qos1", "publish:qos2"}
STREAMING = {"stream open", "stream resume", "stream hold", "stream reading"}


@pytest.fixture
def environment(local: LocalStack, tmp_path: Path) -> dict[str, str]:
    """A pipeline that lets publishers in, and what a run of them is told."""
    found = publishing(local, tmp_path, "http://to.be.known")
    local.start_ingest()
    api = local.start_api()
    return {**found, "LOADTEST_TARGET": api.url}


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_of_all_users_meets_its_objectives_and_nothing_is_lost(
    local: LocalStack, environment: dict[str, str], tmp_path: Path, processes: str
) -> None:
    api = local.processes[-1]
    assert isinstance(api, Service)
    local.start_fleet("demo", devices=10)
    eventually(lambda: '"device":' in api.get("/v1/latest")[1], deadline_seconds=30)

    done = run(
        {
            **environment,
            "LOADTEST_PROCESSES": processes,
            "LOADTEST_READERS": "10",
            "LOADTEST_STREAMS": "4",
            "LOADTEST_DURATION_SECONDS": "12",
            "LOADTEST_OBJECTIVES": objectives(tmp_path, "failure_percent = 0"),
        }
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert all(one.met for one in verdict(tmp_path).values())
    assert verdict(tmp_path)["lost, at most"].result == 0
    assert "every objective was met" in done.stdout
    left = {path.name for path in (tmp_path / "results").iterdir()}
    assert {"report.html", "stats_stats.csv", "stats.json", "verdict.json"} <= left

    found = rows(tmp_path)
    asked = {"fleet", "devices", "device latest", "range raw", "range mean"}
    assert asked | PUBLISHING | STREAMING | {"connect", "freshness"} <= set(found)
    assert all(name in done.stdout for name in found)
    assert found["connect"]["num_requests"] == 14
    assert found["connect"]["min_response_time"] > 0
    assert all(found[name]["num_requests"] > 5 for name in PUBLISHING)
    assert found["stream open"]["num_requests"] == 4
    assert found["stream resume"]["num_requests"] >= 3
    assert found["stream reading"]["num_requests"] > 5

    published = sum(found[name]["num_requests"] for name in PUBLISHING)
    store = local.open_store()
    stored = sum(one.count for one in store.sequence_counts() if one.device.startswith("load-"))
    assert stored == published
    eventually(lambda: figures(store).get("operations_publishers", 0) >= published)
    assert figures(store)["failed_operations_publishers"] == 0
    assert figures(store)["p95_ms_readers"] > 0
    store.close()


def figures(store: Store) -> dict[str, float]:
    """Return what the run last told of itself in the store."""
    for one in store.latest(site="denyut", device="loadtest-1"):
        return {name: float(value) for name, value in one.values.items()}
    return {}


def test_a_reading_that_is_acknowledged_and_never_stored_is_found(
    local: LocalStack, environment: dict[str, str], tmp_path: Path
) -> None:
    ingest = local.processes[1]
    # A store of another's: what this ingest stores, the API does not show.
    ingest.environment["INGEST_STORE_URL"] = f"sqlite:///{tmp_path}/elsewhere.sqlite"
    ingest.restart()

    done = run({**environment, "LOADTEST_SETTLE_SECONDS": "2", "LOADTEST_FRESHNESS": "0"})

    assert done.returncode == 1
    lost = verdict(tmp_path)["lost, at most"].result
    assert lost is not None
    assert lost > 100


def test_a_broker_that_dies_and_comes_back_is_connected_to_again(
    local: LocalStack, environment: dict[str, str], tmp_path: Path
) -> None:
    broker = local.processes[0]
    port = int(environment["LOADTEST_BROKER_PORT"])
    users = [f"load-1-{number:04}" for number in range(14)]
    told = {
        "LOADTEST_DURATION_SECONDS": "12",
        "LOADTEST_OBJECTIVES": objectives(tmp_path, "failure_percent = 0"),
    }
    with running({**environment, **told}) as process:
        eventually(lambda: all(one in broker.log_tail(200) for one in users), deadline_seconds=30)
        broker.stop()
        turn_one_away(port)
        broker.start()
        output = process.communicate(timeout=90)[0]

    assert process.returncode == 1
    found = rows(tmp_path)
    assert found["connect"]["num_requests"] >= 28, output
    assert verdict(tmp_path)["lost, at most"].result == 0, output
    errors = (tmp_path / "results" / "stats_failures.csv").read_text()
    assert "not connected" in errors
    assert "Traceback" not in output


def turn_one_away(port: int) -> None:
    """Wait for one that wants to connect to where the broker was, and hang up."""
    with socket.create_server(("127.0.0.1", port)) as server:
        server.settimeout(30)
        server.accept()[0].close()


def test_a_run_that_is_told_to_stop_says_so_and_does_not_pass(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with running({**environment, "LOADTEST_DURATION_SECONDS": "60"}) as process:
        eventually(lambda: (tmp_path / "results" / "ledger").exists(), deadline_seconds=30)
        process.terminate()
        output = process.communicate(timeout=60)[0]

    assert process.returncode == 1
    assert "the run is cut short" in output
    judged = verdict(tmp_path)
    assert not judged["seconds, at least"].met
    assert judged["lost, at most"].result == 0


def test_a_search_leaves_its_steps_and_judges_the_knee(
    environment: dict[str, str], tmp_path: Path
) -> None:
    told = {
        "LOADTEST_SHAPE": "limit",
        "LOADTEST_PUBLISHERS": "2",
        "LOADTEST_LIMIT_STEP_SECONDS": "2",
        "LOADTEST_LIMIT_AT_LEAST": "1000000",
        "LOADTEST_OBJECTIVES": objectives(tmp_path, "failure_percent = 1"),
    }

    done = run({**environment, **told})

    assert done.returncode == 1, done.stdout + done.stderr
    steps = json.loads((tmp_path / "results" / "limit.json").read_text())
    assert [step["users"] for step in steps] == [1, 2]
    knee = verdict(tmp_path)["knee in operations/s, at least"]
    assert knee.result == pytest.approx(
        max(step["per_second"] for step in steps if step["held"]), abs=0.01
    )
    assert verdict(tmp_path)["lost, at most"].result == 0


def test_two_containers_share_the_load_and_the_first_judges(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment |= {"LOADTEST_TASKS": "2", "LOADTEST_MASTER_PORT": str(free_port())}
    second = {"LOADTEST_SLOT": "2", "LOADTEST_RESULTS_DIR": str(tmp_path / "second")}

    with running({**environment, **second}) as worker:
        done = run({**environment, "LOADTEST_OBJECTIVES": objectives(tmp_path, "p99_ms = 60_000")})
        said = worker.communicate(timeout=30)[0]

    assert (done.returncode, worker.returncode) == (0, 0), done.stdout + done.stderr + said
    assert verdict(tmp_path)["lost, at most"].result == 0
    assert rows(tmp_path)["connect"]["num_requests"] == 14
    assert not (tmp_path / "second" / "verdict.json").exists()
