"""`denyut-setup exchange` on a real server: secrets in, tokens out, and nothing kept or said."""

import secrets
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from influxdb_client import InfluxDBClient

from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.ports import reserve_port
from stack.process import ROOMS
from telemetry.settings import Secret
from telemetry.store import StoreMisconfigured
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import Place
from tests.integration.store.conftest import operator_token
from tests.integration.store.setup_command import Ended, environment, line, setup_command

HOST = "127.0.0.1"
SERVICES = ("ingest", "api", "grafana")


class Exchanging:
    """One set-up of a server, and every secret that it has given or got."""

    def __init__(self, url: str, operator: str, bucket: str) -> None:
        self.url = url
        self.operator = operator
        self.bucket = bucket
        self.secrets = {operator}

    def __call__(self, **given: Any) -> Ended:
        asked = line({"operator_token": self.operator, **given})
        ended = setup_command(self.url, "exchange", bucket=self.bucket, stdin=asked)
        self.secrets |= set(given.get("tokens", {}).values()) - {""}
        if ended.code == 0:
            self.secrets |= set(ended.answer["tokens"].values())
        assert not [secret for secret in self.secrets if secret in ended.stderr]
        return ended

    def works(self, tokens: dict[str, str]) -> dict[str, bool]:
        return {name: self._works(name, token) for name, token in tokens.items()}

    def _works(self, name: str, token: str) -> bool:
        place = Place(self.url, "denyut", self.bucket)
        store = InfluxStore(place, Secret(token), read_only=name != "ingest")
        try:
            store.check()
        except StoreMisconfigured:
            return False
        finally:
            store.close()
        return True


ALL_WORK = dict.fromkeys(SERVICES, True)
NONE_WORKS = dict.fromkeys(SERVICES, False)


@pytest.fixture
def exchanging(influxdb: LocalStack) -> Exchanging:
    """A set-up beside all others of the server."""
    bucket = f"x-{uuid.uuid4().hex}"
    return Exchanging(influxdb.store_url, operator_token(influxdb).value, bucket)


@pytest.fixture
def unused(influxd_installed: None, tmp_path: Path) -> Iterator[Influxd]:  # noqa: ARG001
    """A server that nobody has set up, not started yet."""
    reserved = reserve_port(HOST)
    server = Influxd(
        tmp_path, HOST, reserved.port, environment={}, log_path=tmp_path / "influxd.log"
    )
    yield server
    server.stop()
    reserved.release()


def descriptions(exchanging: Exchanging) -> list[str]:
    with InfluxDBClient(url=exchanging.url, token=exchanging.operator, org="denyut") as client:
        found = client.authorizations_api().find_authorizations()
    return [one.description for one in found if f" {exchanging.bucket} " in one.description]


def test_a_second_exchange_gives_back_what_it_was_given(exchanging: Exchanging) -> None:
    first = exchanging(tokens={})

    second = exchanging(tokens=first.answer["tokens"])

    assert (first.code, second.code) == (0, 0)
    assert len(first.answer["changes"]) == 3 + 2 + 3
    assert first.stderr.splitlines() == first.answer["changes"]
    assert second.answer == {"tokens": first.answer["tokens"], "changes": []}
    assert exchanging.works(first.answer["tokens"]) == ALL_WORK


def test_a_lost_token_is_made_again_and_the_others_stay(exchanging: Exchanging) -> None:
    first = exchanging().answer["tokens"]

    second = exchanging(tokens={**first, "api": ""}).answer["tokens"]

    assert {name for name in SERVICES if first[name] == second[name]} == {"ingest", "grafana"}
    assert exchanging.works(second) == ALL_WORK
    assert exchanging.works(first) == {**ALL_WORK, "api": False}


def test_rotated_tokens_work_beside_the_old_ones_until_these_are_retired(
    exchanging: Exchanging,
) -> None:
    old = exchanging().answer["tokens"]

    new = exchanging(tokens=old, rotate=True).answer["tokens"]

    assert not set(old.values()) & set(new.values())
    assert exchanging.works(old) == ALL_WORK
    assert exchanging.works(new) == ALL_WORK
    retired = exchanging(tokens=new, retire=True)
    assert retired.answer["tokens"] == new
    assert len(retired.answer["changes"]) == 3
    assert exchanging.works(old) == NONE_WORKS
    assert exchanging.works(new) == ALL_WORK
    assert len(descriptions(exchanging)) == 3


def test_an_answer_that_got_lost_leaves_nothing_behind_once_retired(
    exchanging: Exchanging,
) -> None:
    old = exchanging().answer["tokens"]
    lost = exchanging(tokens=old, rotate=True).answer["tokens"]
    new = exchanging(tokens=old, rotate=True).answer["tokens"]

    exchanging(tokens=new, retire=True)

    assert exchanging.works(lost) == NONE_WORKS
    assert exchanging.works(new) == ALL_WORK


@pytest.mark.parametrize(
    ("given", "reason"),
    [({"api": ""}, "is not given"), ({"api": "nonsense"}, "is refused")],
)
def test_retire_deletes_nothing_unless_all_tokens_in_use_are_given(
    exchanging: Exchanging, given: dict[str, str], reason: str
) -> None:
    old = exchanging().answer["tokens"]
    new = exchanging(tokens=old, rotate=True).answer["tokens"]

    refused = exchanging(tokens={**new, **given}, retire=True)

    assert refused.code == 2
    assert refused.stderr == (
        f"denyut-setup: retire needs the tokens that the services use now: api's {reason}\n"
    )
    assert exchanging.works(old) == ALL_WORK
    assert exchanging.works(new) == ALL_WORK


def test_two_set_ups_of_one_server_retire_only_their_own(
    exchanging: Exchanging, influxdb: LocalStack
) -> None:
    other = Exchanging(influxdb.store_url, exchanging.operator, f"{exchanging.bucket}-b")
    others = other().answer["tokens"]
    new = exchanging(tokens=exchanging().answer["tokens"], rotate=True).answer["tokens"]

    exchanging(tokens=new, retire=True)

    assert other.works(others) == ALL_WORK


def test_an_operator_token_that_nobody_could_retire_is_not_replaced(
    exchanging: Exchanging,
) -> None:
    # The session's operator token belongs to the set-up of another bucket.
    refused = exchanging(new_operator=True)

    assert refused.code == 2
    assert refused.stderr.splitlines()[-1].startswith("denyut-setup: the operator token is not one")


def test_a_server_is_waited_for_set_up_and_moved_to_a_new_operator_token(unused: Influxd) -> None:
    first_operator, password = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    asking = subprocess.Popen(
        [sys.executable, "-m", "stack.setup", "exchange"],
        cwd=ROOMS,
        env=environment(unused.url, "telemetry"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert asking.stdin is not None
    asking.stdin.write(line({"operator_token": first_operator, "admin_password": password}))
    asking.stdin.close()
    asking.stdin = None
    unused.start(ready_seconds=60)
    said, told = asking.communicate(timeout=60)
    first = Ended(asking.returncode, said, told.decode())
    assert first.code == 0
    assert first_operator not in first.stderr
    assert password not in first.stderr
    exchanging = Exchanging(unused.url, first_operator, "telemetry")

    moved = exchanging(tokens=first.answer["tokens"], rotate=True, new_operator=True)
    exchanging.operator = moved.answer["operator_token"]
    assert exchanging.operator not in moved.stderr
    retired = exchanging(tokens=moved.answer["tokens"], retire=True)

    assert retired.code == 0
    assert exchanging.works(first.answer["tokens"]) == NONE_WORKS
    assert exchanging.works(moved.answer["tokens"]) == ALL_WORK
    exchanging.operator = first_operator
    refused = exchanging(tokens=moved.answer["tokens"])
    assert refused.code == 2
    assert refused.stderr == f"denyut-setup: {unused.url}: 401: unauthorized access\n"


def test_a_server_that_stays_away_is_named_after_the_wait() -> None:
    reserved = reserve_port(HOST)
    url = f"http://{HOST}:{reserved.port}"

    ended = setup_command(
        url, "exchange", stdin=line({"operator_token": "t0k3n"}), wait_seconds="0.5"
    )

    reserved.release()
    assert (ended.code, ended.stdout) == (2, b"")
    assert ended.stderr.startswith(f"denyut-setup: {url}: ")
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "stdin",
    [
        b"",
        b"s3cr3t",
        b'{"operator_token": "s3cr3t"',
        b'{"operator_token": "s3cr3t\\n"}',
        b'{"operator_token": "s3cr3t\\u2026"}',
        b'{"operator_token": ["s3cr3t"]}',
        b'{"operator_token": "s3cr3t", "tokens": {"ingest": "s3cr3t with blanks"}}',
        b'{"operator_token": "s3cr3t", "tokens": {"broker": "s3cr3t"}}',
        b'{"operator_token": "s3cr3t", "rotate": true, "retire": true}',
        b'{"operator_token": "s3cr3t", "rotation": true}',
        b'{"operator_token": "s3cr3t"} {}',
        b'{"operator_token": "s3cr3t\xff"}',
        b'{"operator_token": "' + b"s3cr3t" * 20_000 + b'"}',
    ],
)
def test_bad_input_is_one_line_without_a_secret(stdin: bytes) -> None:
    ended = setup_command("http://127.0.0.1:9", "exchange", stdin=stdin)

    assert (ended.code, ended.stdout) == (2, b"")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("denyut-setup: ")
    assert "s3cr3t" not in ended.stderr
