"""`denyut-setup influxdb` on a real server: buckets, tasks and narrow tokens, again and again."""

import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from influxdb_client import InfluxDBClient

from stack.local import LocalStack
from stack.setup.plan import Plan
from stack.setup.server import SetupError
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import StoreMisconfigured, StoreUnavailable
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import InfluxSession, Place
from tests.integration.store.conftest import operator_token, set_up

READING = Reading("jakarta", "node-1", "weather", 1_700_000_000_000, {"a": 1.0})


@pytest.fixture
def plan() -> Plan:
    """A set-up of the test's own, beside all others of the server."""
    return Plan(bucket=f"b-{uuid.uuid4().hex}", retention_days=36_500)


def opened(local: LocalStack, plan: Plan, token: Path, *, read_only: bool = False) -> InfluxStore:
    place = Place(local.store_url, plan.org, plan.bucket)
    return InfluxStore(place, Secret(token.read_text()), read_only=read_only)


def client(local: LocalStack) -> InfluxDBClient:
    return InfluxDBClient(url=local.store_url, token=operator_token(local).value, org="denyut")


def tokens_in(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_second_set_up_changes_nothing(influxdb: LocalStack, plan: Plan, tmp_path: Path) -> None:
    first = set_up(influxdb, plan, tmp_path)
    tokens = tokens_in(tmp_path)

    second = set_up(influxdb, plan, tmp_path)

    assert len(first) == 3 + 2 + 3
    assert second == []
    assert tokens_in(tmp_path) == tokens
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_a_token_may_do_its_own_work_and_nothing_else(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path)
    writer = opened(influxdb, plan, tmp_path / "ingest-token")
    reader = opened(influxdb, plan, tmp_path / "api-token", read_only=True)

    writer.check()
    reader.check()
    assert writer.write([READING]) == []
    assert reader.latest() == [READING]
    with pytest.raises(StoreMisconfigured):
        reader.write([READING])
    with pytest.raises(StoreMisconfigured):
        writer.latest()


def test_two_set_ups_of_one_organisation_leave_each_other_s_tokens_alone(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path / "one")

    set_up(influxdb, Plan(bucket=f"{plan.bucket}-b"), tmp_path / "other")

    opened(influxdb, plan, tmp_path / "one" / "ingest-token").check()


def test_an_organisation_gets_buckets_of_its_own_where_another_has_the_same_names(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path / "one")
    other = Plan(org=f"org-{plan.bucket}", bucket=plan.bucket)

    changes = set_up(influxdb, other, tmp_path / "other")

    assert len(changes) == 1 + 3 + 2 + 3
    assert set_up(influxdb, other, tmp_path / "other") == []
    writer = opened(influxdb, other, tmp_path / "other" / "ingest-token")
    now_ms = time.time_ns() // 1_000_000
    assert writer.write([Reading("s", "d", "m", now_ms, {"a": 1.0})]) == []
    assert opened(influxdb, plan, tmp_path / "one" / "api-token").latest() == []


def test_a_token_that_was_lost_is_replaced_and_no_longer_works(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path)
    lost = opened(influxdb, plan, tmp_path / "ingest-token")
    kept = (tmp_path / "api-token").read_text()
    (tmp_path / "ingest-token").unlink()

    (change,) = set_up(influxdb, plan, tmp_path)

    assert change.startswith("made the token of ingest")
    assert (tmp_path / "api-token").read_text() == kept
    opened(influxdb, plan, tmp_path / "ingest-token").check()
    with pytest.raises(StoreMisconfigured):
        lost.check()


def test_tokens_of_a_bucket_that_was_made_anew_are_replaced(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path)
    with client(influxdb) as asked:
        asked.buckets_api().delete_bucket(asked.buckets_api().find_bucket_by_name(plan.bucket))

    changes = set_up(influxdb, plan, tmp_path)

    assert len(changes) == 1 + 3
    assert set_up(influxdb, plan, tmp_path) == []


def test_a_token_is_kept_while_the_server_does_not_answer(
    influxdb: LocalStack, plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(influxdb, plan, tmp_path)
    tokens = tokens_in(tmp_path)

    def is_away(_session: InfluxSession) -> None:
        raise StoreUnavailable("503: busy")

    with monkeypatch.context() as patch:
        patch.setattr(InfluxSession, "check_write_access", is_away)
        with pytest.raises(SetupError, match="busy"):
            set_up(influxdb, plan, tmp_path)

    assert set_up(influxdb, plan, tmp_path) == []
    assert tokens_in(tmp_path) == tokens


def test_a_token_that_may_more_than_it_must_is_an_error(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path)
    (tmp_path / "api-token").write_text(operator_token(influxdb).value)

    with pytest.raises(SetupError, match=r"the token of api can write .* and must not"):
        set_up(influxdb, plan, tmp_path)


def test_a_changed_retention_is_taken_over(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    set_up(influxdb, plan, tmp_path)

    shorter = Plan(bucket=plan.bucket, retention_days=1)
    (change,) = set_up(influxdb, shorter, tmp_path)

    assert change == f"the bucket {plan.bucket} keeps its points for 1 days now"
    assert set_up(influxdb, shorter, tmp_path) == []


def test_a_wrong_operator_token_is_named(influxdb: LocalStack, plan: Plan, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="401: unauthorized access"):
        set_up(influxdb, plan, tmp_path, operator=Secret("nonsense"))


def test_the_command_line_says_what_it_did_and_what_is_wrong(
    influxdb: LocalStack, plan: Plan, tmp_path: Path
) -> None:
    def run(*arguments: str, url: str = influxdb.store_url) -> tuple[int, str, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "stack.setup", *arguments],
            env={
                "SETUP_URL": url,
                "SETUP_BUCKET": plan.bucket,
                "SETUP_OPERATOR_TOKEN_FILE": str(influxdb.folder / "influxdb" / "operator-token"),
            },
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return ended.returncode, ended.stdout, ended.stderr

    code, said, _error = run("influxdb", "--tokens", str(tmp_path))
    assert (code, len(said.splitlines())) == (0, 9)
    assert run("influxdb", "--tokens", str(tmp_path))[:2] == (
        0,
        "every token does what it may, and nothing else; no change\n",
    )
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    assert run("rollup", "--from", hour_ago.strftime("%Y-%m-%dT%H:%M:%S")) == (
        0,
        "2 hours are made again\n",
        "",
    )
    code, _said, error = run("influxdb", "--tokens", str(tmp_path), url="http://127.0.0.1:9")
    assert code == 2
    assert error.startswith("denyut-setup: http://127.0.0.1:9: ")
    assert len(error.splitlines()) == 1
