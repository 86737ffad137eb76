"""Whole runs of Locust on targets that are not the API: slow, refusing, not to be trusted."""

import json
import urllib.request
from pathlib import Path

import pytest

from broker.certificates import Authority
from loadtest.command import locust_command
from loadtest.settings import LoadtestSettings
from stack.local import LocalStack
from tests.eventually import eventually
from tests.integration.loadtest.other_api import api_of_another_kind
from tests.integration.loadtest.running import (
    free_port,
    objectives,
    publishing,
    rows,
    run,
    running,
    told,
    verdict,
)

pytestmark = pytest.mark.timeout(120)

ENDED = b'id: 7\nevent: feed\ndata: {"live":true,"reason":""}\n\n' + (
    b'event: end\ndata: {"reason":"slow","detail":"Events came faster than they were read."}\n\n'
)


def test_a_missed_objective_is_told_and_is_exit_code_1(tmp_path: Path) -> None:
    file = objectives(tmp_path, "p95_ms = 0.001")
    earlier = tmp_path / "results" / "limit.json"
    earlier.parent.mkdir()
    earlier.write_text("of an earlier run")
    with api_of_another_kind(seconds=0.01) as target:
        done = run(told(tmp_path, TARGET=target, OBJECTIVES=file))

    assert done.returncode == 1
    assert not verdict(tmp_path)["all p95_ms, at most"].met
    assert "1 objective was missed" in done.stdout
    assert "1 objective was missed" in (tmp_path / "results" / "verdict.html").read_text()
    assert not earlier.exists()


def test_a_target_that_is_too_slow_for_the_rate_does_not_pass(tmp_path: Path) -> None:
    with api_of_another_kind(seconds=0.5) as target:
        done = run(told(tmp_path, TARGET=target, READER_RATE="10"))

    assert done.returncode == 1
    held = verdict(tmp_path)["rate_percent, at least"]
    assert held.result is not None
    assert held.result < 50


def test_a_search_finds_what_a_target_can_do(tmp_path: Path) -> None:
    file = objectives(tmp_path, "failure_percent = 1", rate_percent=70)
    limit = {"SHAPE": "limit", "LIMIT_STEP_SECONDS": "2", "READERS": "8", "READER_RATE": "5"}
    with api_of_another_kind(seconds=0.19, one_at_a_time=True) as target:
        done = run(told(tmp_path, TARGET=target, OBJECTIVES=file, **limit))

    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "results" / "limit.json").read_text())
    # One user asks five times a second, and it answers hardly more often.
    held = [(step["users"], step["held"]) for step in steps]
    assert held == [(1, True), (2, False), (2, False)]
    assert "rate_percent" in steps[-1]["why"]
    knee = verdict(tmp_path)["knee in operations/s, at least"].result
    assert knee is not None
    assert 3.5 <= knee < 6


@pytest.mark.parametrize(("status", "stream"), [(200, ENDED), (429, b"{}")])
def test_streams_that_are_ended_or_refused_do_not_pass(
    tmp_path: Path, status: int, stream: bytes
) -> None:
    ids: list[str | None] = []
    with api_of_another_kind(stream=stream, stream_status=status, last_ids=ids) as target:
        done = run(told(tmp_path, TARGET=target, STREAMS="2"))

    assert done.returncode == 1
    # One may come again before the other has come for the first time.
    first, again = ids.count(None), [one for one in ids if one is not None]
    assert (first, set(again)) == (2, {"7"}) if status == 200 else not again
    found = verdict(tmp_path)
    assert not found["rate_percent, at least"].met
    name, why = ("stream hold", "ended it: slow") if status == 200 else ("stream open", "429")
    assert not found[f"{name} failure_percent, at most"].met
    assert why in (tmp_path / "results" / "stats_failures.csv").read_text()


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
    with api_of_another_kind(authority=authority, stream=ENDED) as target:
        environment = told(tmp_path, TARGET=target, CA_FILE=file, STREAMS="2")
        run(environment, *locust_command(LoadtestSettings.load(environment)))

    found = rows(tmp_path)
    streams = found.pop("stream open")
    found.pop("stream hold", None)
    asked, failed = (
        sum(row[what] for row in found.values()) for what in ("num_requests", "num_failures")
    )
    assert asked >= 10
    assert failed == (0 if trusted else asked)
    assert streams["num_failures"] == (0 if trusted else streams["num_requests"])


def test_a_broker_that_refuses_is_told_and_fails_the_run(local: LocalStack, tmp_path: Path) -> None:
    with api_of_another_kind() as target:
        environment = publishing(local, tmp_path, target)
        (tmp_path / "fleet-key").write_text("another fleet's")

        done = run(environment)

    assert done.returncode == 1
    assert rows(tmp_path)["connect"]["num_failures"] >= 14
    held = verdict(tmp_path)["rate_percent, at least"]
    assert held.result is not None
    assert held.result < 95
    assert "Not authorized" in (tmp_path / "results" / "stats_failures.csv").read_text()


def test_stages_are_marked(tmp_path: Path) -> None:
    file = objectives(tmp_path, "failure_percent = 1")
    with api_of_another_kind() as target:
        environment = told(tmp_path, TARGET=target, OBJECTIVES=file, DURATION_SECONDS="8")
        done = run({**environment, "LOADTEST_SHAPE": "spike"})

    assert done.returncode == 0, done.stdout + done.stderr
    marks = json.loads((tmp_path / "results" / "annotations.json").read_text())
    assert [mark["text"] for mark in marks][1:] == [
        f"load test: {name}" for name in ("before the spike", "spike", "after the spike")
    ]


def test_the_page_opens_runs_end_with_their_verdict_and_its_end_is_no_failure(
    tmp_path: Path,
) -> None:
    port, verdict_file = free_port(), tmp_path / "results" / "verdict.json"
    file = objectives(tmp_path, "failure_percent = 0")
    with api_of_another_kind() as target:
        environment = told(tmp_path, TARGET=target, UI="true", UI_PORT=str(port), OBJECTIVES=file)
        with running(environment) as process:
            eventually(lambda: answers(port), deadline_seconds=30)
            begin = b"user_count=0&spawn_rate=0"
            urllib.request.urlopen(f"http://127.0.0.1:{port}/swarm", begin, timeout=5).close()
            eventually(verdict_file.exists, deadline_seconds=30)
            process.terminate()
            output = process.communicate(timeout=30)[0]

    assert process.returncode == 0, output
    assert f"http://127.0.0.1:{port}/" in output
    assert output.count("every objective was met") == 1


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return b"Locust" in answer.read()
    except OSError:
        return False


def ca_file(tmp_path: Path, authority: Authority) -> str:
    path = tmp_path / "ca.pem"
    path.write_text(authority.certificate_pem)
    return str(path)
