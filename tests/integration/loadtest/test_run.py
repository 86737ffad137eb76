"""Whole runs of Locust, in processes of their own: on the real API, and on one that is not it."""

import http.server
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from broker.certificates import Authority
from loadtest.command import locust_command, locust_environment
from loadtest.objectives import Judged
from loadtest.settings import LoadtestSettings
from stack.local import LocalStack
from stack.process import ROOMS
from tests.eventually import eventually

pytestmark = pytest.mark.timeout(120)


def told(tmp_path: Path, **settings: str) -> dict[str, str]:
    ours = {"READERS": "10", "DURATION_SECONDS": "4", "RESULTS_DIR": str(tmp_path / "results")}
    return {f"LOADTEST_{name}": text for name, text in {**ours, **settings}.items()}


def run(environment: dict[str, str], *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command or [sys.executable, "-m", "loadtest", "run"],
        cwd=ROOMS,
        env=locust_environment(os.environ, environment),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def verdict(tmp_path: Path) -> dict[str, Judged]:
    rows = json.loads((tmp_path / "results" / "verdict.json").read_text())
    return {row["objective"]: Judged(**row) for row in rows}


def pipeline(local: LocalStack) -> str:
    """Start all that a reader asks for, and return the API's address."""
    local.start_broker()
    local.start_ingest()
    api = local.start_api()
    local.start_fleet("demo", devices=10)
    eventually(lambda: '"device":' in api.get("/v1/latest")[1], deadline_seconds=30)
    return api.url


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_on_the_real_api_meets_its_objectives(
    local: LocalStack, tmp_path: Path, processes: str
) -> None:
    file = objectives(tmp_path, "failure_percent = 0")
    environment = told(tmp_path, TARGET=pipeline(local), OBJECTIVES=file)

    done = run({**environment, "LOADTEST_PROCESSES": processes})

    assert done.returncode == 0, done.stdout + done.stderr
    assert all(one.met for one in verdict(tmp_path).values())
    assert "every objective was met" in done.stdout
    left = {path.name for path in (tmp_path / "results").iterdir()}
    assert {"report.html", "stats_stats.csv", "stats.json", "verdict.json"} <= left
    asked = {row["name"] for row in json.loads((tmp_path / "results" / "stats.json").read_text())}
    assert {"devices", "device latest"} <= asked


def test_a_missed_objective_is_told_and_is_exit_code_1(local: LocalStack, tmp_path: Path) -> None:
    objectives = tmp_path / "objectives.toml"
    objectives.write_text('[[objectives]]\noperation = "device latest"\np95_ms = 0.001\n')

    done = run(told(tmp_path, TARGET=pipeline(local), OBJECTIVES=str(objectives)))

    assert done.returncode == 1
    assert not verdict(tmp_path)["device latest p95_ms, at most"].met
    assert "1 objectives missed" in done.stdout


def test_a_target_that_is_too_slow_for_the_rate_does_not_pass(tmp_path: Path) -> None:
    with api_of_another_kind(seconds=0.5) as target:
        done = run(told(tmp_path, TARGET=target, READER_RATE="10"))

    assert done.returncode == 1
    held = verdict(tmp_path)["rate_percent, at least"]
    assert held.result is not None
    assert held.result < 50


def test_a_key_that_is_not_known_is_one_line(tmp_path: Path) -> None:
    with api_of_another_kind(status=401) as target:
        done = run(told(tmp_path, TARGET=target))

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "says 401: LOADTEST_API_KEY_FILE names the file of a key" in done.stderr


def test_an_authority_that_did_not_sign_is_one_line(tmp_path: Path) -> None:
    authority, other = Authority.make("ours"), Authority.make("another")
    with api_of_another_kind(authority=authority) as target:
        done = run(told(tmp_path, TARGET=target, CA_FILE=ca_file(tmp_path, other)))

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "its certificate is not trusted" in done.stderr


@pytest.mark.parametrize("trusted", [True, False])
def test_users_ask_only_whom_they_trust(tmp_path: Path, trusted: bool) -> None:
    """Locust's own client would believe any certificate; what is checked first is passed over."""
    authority, other = Authority.make("ours"), Authority.make("another")
    file = ca_file(tmp_path, authority if trusted else other)
    with api_of_another_kind(authority=authority) as target:
        environment = told(tmp_path, TARGET=target, CA_FILE=file)
        run(environment, *locust_command(LoadtestSettings.load(environment)))

    rows = json.loads((tmp_path / "results" / "stats.json").read_text())
    asked, failed = (sum(row[what] for row in rows) for what in ("num_requests", "num_failures"))
    assert asked >= 10
    assert failed == (0 if trusted else asked)


def publishing(local: LocalStack, tmp_path: Path, *, processes: int = 0) -> dict[str, str]:
    """Start a pipeline that lets publishers in, and return what a run is told of it."""
    broker = local.start_broker()
    local.start_ingest()
    api = local.start_api()
    broker.admit(f"load-1-{number:04}" for number in range(40))
    key = tmp_path / "fleet-key"
    key.write_text(local.fleet_key)
    return told(
        tmp_path,
        TARGET=api.url,
        READERS="1",
        PUBLISHERS="12",
        FRESHNESS="2",
        FLEET_KEY_FILE=str(key),
        BROKER_PORT=str(broker.port),
        PROCESSES=str(processes),
    )


def rows(tmp_path: Path) -> dict[str, dict[str, float]]:
    found = json.loads((tmp_path / "results" / "stats.json").read_text())
    return {row["name"]: row for row in found}


@pytest.mark.parametrize("processes", [0, 2])
def test_publishers_have_a_row_an_operation_and_level_and_nothing_is_lost(
    local: LocalStack, tmp_path: Path, processes: int
) -> None:
    environment = publishing(local, tmp_path, processes=processes)

    done = run({**environment, "LOADTEST_OBJECTIVES": objectives(tmp_path, "failure_percent = 0")})

    assert done.returncode == 0, done.stdout + done.stderr
    assert verdict(tmp_path)["lost, at most"].result == 0
    found = rows(tmp_path)
    mqtt = {"connect", "publish:qos0", "publish:qos1", "publish:qos2", "freshness"}
    assert {name for name in found if name == "connect" or "publish" in name} == mqtt - {
        "freshness"
    }
    assert found["connect"]["num_requests"] == 14
    assert found["connect"]["min_response_time"] > 0
    assert all(found[name]["num_requests"] > 5 for name in mqtt)
    store = local.open_store()
    stored = sum(one.count for one in store.sequence_counts() if one.device.startswith("load-"))
    store.close()
    published = sum(found[name]["num_requests"] for name in mqtt if "publish" in name)
    assert stored == published


def test_a_reading_that_is_acknowledged_and_never_stored_is_found(
    local: LocalStack, tmp_path: Path
) -> None:
    environment = publishing(local, tmp_path)
    ingest = local.processes[1]
    # A store of another's: what this ingest stores, the API does not show.
    ingest.environment["INGEST_STORE_URL"] = f"sqlite:///{tmp_path}/elsewhere.sqlite"
    ingest.restart()

    done = run({**environment, "LOADTEST_SETTLE_SECONDS": "3", "LOADTEST_FRESHNESS": "0"})

    assert done.returncode == 1
    lost = verdict(tmp_path)["lost, at most"].result
    assert lost is not None
    assert lost > 100


def test_a_broker_that_refuses_is_told_and_fails_the_run(local: LocalStack, tmp_path: Path) -> None:
    environment = publishing(local, tmp_path)
    (tmp_path / "fleet-key").write_text("another fleet's")

    done = run(environment)

    assert done.returncode == 1
    assert rows(tmp_path)["connect"]["num_failures"] >= 14
    held = verdict(tmp_path)["rate_percent, at least"]
    assert held.result is not None
    assert held.result < 95
    assert "Not authorized" in (tmp_path / "results" / "stats_failures.csv").read_text()


def test_a_broker_that_dies_and_comes_back_is_connected_to_again(
    local: LocalStack, tmp_path: Path
) -> None:
    environment = publishing(local, tmp_path)
    broker = local.processes[0]
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run"],
        cwd=ROOMS,
        env=locust_environment(os.environ, {**environment, "LOADTEST_DURATION_SECONDS": "12"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        eventually(lambda: (tmp_path / "results" / "ledger").exists(), deadline_seconds=30)
        time.sleep(3)
        broker.restart()
        output = process.communicate(timeout=90)[0].decode()

    assert process.returncode == 1
    found = rows(tmp_path)
    assert found["connect"]["num_requests"] >= 28, output
    assert verdict(tmp_path)["lost, at most"].result == 0, output
    errors = (tmp_path / "results" / "stats_failures.csv").read_text()
    assert "the connection was lost" in errors or "not connected" in errors
    assert "Traceback" not in output


def test_a_run_that_is_told_to_stop_says_so_and_does_not_pass(
    local: LocalStack, tmp_path: Path
) -> None:
    environment = publishing(local, tmp_path)
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run"],
        cwd=ROOMS,
        env=locust_environment(os.environ, {**environment, "LOADTEST_DURATION_SECONDS": "60"}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        eventually(lambda: (tmp_path / "results" / "ledger").exists(), deadline_seconds=30)
        process.terminate()
        output = process.communicate(timeout=60)[0].decode()

    assert process.returncode == 1
    assert "the run is cut short" in output
    judged = verdict(tmp_path)
    assert not judged["seconds, at least"].met
    assert judged["lost, at most"].result == 0


def test_a_search_leaves_its_steps_and_judges_the_knee(local: LocalStack, tmp_path: Path) -> None:
    environment = publishing(local, tmp_path)
    told = {
        "LOADTEST_SHAPE": "limit",
        "LOADTEST_LIMIT_STEP_SECONDS": "2",
        "LOADTEST_LIMIT_AT_LEAST": "1000000",
        "LOADTEST_OBJECTIVES": objectives(tmp_path, "failure_percent = 1"),
    }

    done = run({**environment, **told})

    assert done.returncode == 1, done.stdout + done.stderr
    steps = json.loads((tmp_path / "results" / "limit.json").read_text())
    assert [step["users"] for step in steps][:3] == [1, 2, 3]
    knee = verdict(tmp_path)["knee in operations/s, at least"]
    assert knee.result == pytest.approx(
        max(step["per_second"] for step in steps if step["held"]), abs=0.01
    )
    assert verdict(tmp_path)["lost, at most"].result == 0


def test_stages_are_marked(local: LocalStack, tmp_path: Path) -> None:
    file = objectives(tmp_path, "failure_percent = 1")
    environment = told(tmp_path, TARGET=pipeline(local), OBJECTIVES=file, DURATION_SECONDS="10")

    done = run({**environment, "LOADTEST_SHAPE": "spike"})

    assert done.returncode == 0, done.stdout + done.stderr
    marks = json.loads((tmp_path / "results" / "annotations.json").read_text())
    assert [mark["text"] for mark in marks][1:] == [
        f"load test: {name}" for name in ("before the spike", "spike", "after the spike")
    ]


def test_two_containers_share_the_load_and_the_first_judges(
    local: LocalStack, tmp_path: Path
) -> None:
    environment = {**publishing(local, tmp_path), "LOADTEST_TASKS": "2"}
    environment |= {"LOADTEST_MASTER_PORT": str(_free_port())}
    local.processes[0].admit(f"load-2-{number:04}" for number in range(20))  # type: ignore[attr-defined]
    worker = {
        **environment,
        "LOADTEST_SLOT": "2",
        "LOADTEST_RESULTS_DIR": str(tmp_path / "second"),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run"],
        cwd=ROOMS,
        env=locust_environment(os.environ, worker),
    ) as second:
        done = run({**environment, "LOADTEST_OBJECTIVES": objectives(tmp_path, "p99_ms = 60_000")})
        second.wait(30)

    assert (done.returncode, second.returncode) == (0, 0), done.stdout + done.stderr
    assert verdict(tmp_path)["lost, at most"].result == 0
    assert rows(tmp_path)["connect"]["num_requests"] == 14
    assert not (tmp_path / "second" / "verdict.json").exists()


def test_the_page_opens_and_its_end_is_no_failure(local: LocalStack, tmp_path: Path) -> None:
    port = _free_port()
    environment = told(tmp_path, TARGET=pipeline(local), UI="true", UI_PORT=str(port))
    with subprocess.Popen(
        [sys.executable, "-m", "loadtest", "run"],
        cwd=ROOMS,
        env=locust_environment(os.environ, environment),
        stdout=subprocess.PIPE,
    ) as process:
        eventually(lambda: _answers(port), deadline_seconds=30)
        process.terminate()
        output = process.communicate(timeout=30)[0].decode()

    assert process.returncode == 0
    assert f"http://127.0.0.1:{port}/" in output


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return b"Locust" in answer.read()
    except OSError:
        return False


def objectives(tmp_path: Path, limits: str) -> str:
    path = tmp_path / "objectives.toml"
    # Not what these tests are about, and a machine with other work does not make it.
    rate = "[run]\nrate_percent = 20\n"
    path.write_text(f'[[objectives]]\noperation = "*"\n{limits}\n{rate}')
    return str(path)


def ca_file(tmp_path: Path, authority: Authority) -> str:
    path = tmp_path / "ca.pem"
    path.write_text(authority.certificate_pem)
    return str(path)


@contextmanager
def api_of_another_kind(
    *, status: int = 200, seconds: float = 0.0, authority: Authority | None = None
) -> Iterator[str]:
    """Serve one answer to everything: late, refusing, or over TLS; none of it a healthy API's."""
    gate = threading.Event()

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            gate.wait(seconds)
            body = b'{"devices": [{"device": "d1"}]}'
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_given: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        server.handle_error = lambda *_given: None  # type: ignore[method-assign]
        if authority is not None:
            server.socket = _server_context(authority).wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http{'s' if authority else ''}://127.0.0.1:{server.server_port}"
        finally:
            gate.set()
            server.shutdown()
            thread.join()


def _server_context(authority: Authority) -> ssl.SSLContext:
    issued = authority.issue_server(["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        certificate.write_text(issued.certificate_pem)
        key.write_text(issued.key_pem)
        context.load_cert_chain(certificate, key)
    return context
