"""A store that is told wrongly is named by what is wrong, and taken again once that is mended."""

from pathlib import Path

import pytest
from influxdb_client import InfluxDBClient

from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.process import ProcessFailed
from stack.services import Service
from tests.eventually import eventually


@pytest.fixture
def server(influxd_installed: None, local: LocalStack) -> Influxd:  # noqa: ARG001
    local.start_broker()
    return local.start_influxdb()


def start_unready(local: LocalStack, service: str, wrong: dict[str, str]) -> Service:
    """Start a service whose store is told wrongly, which it survives."""
    settings = {f"{service.upper()}_STORE_{name}": value for name, value in wrong.items()}
    begin = local.start_ingest if service == "ingest" else local.start_api
    with pytest.raises(ProcessFailed, match="is not ready"):
        begin(settings=settings, ready_seconds=3)
    running = local.processes[-1]
    assert isinstance(running, Service)
    assert running.is_running
    return running


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("service", ["ingest", "api"])
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9"),
        ({"ORG": "nobody"}, "nobody"),
        ({"BUCKET": "nothing"}, "nothing"),
    ],
)
def test_readiness_names_what_is_wrong(
    local: LocalStack, service: str, wrong: dict[str, str], named: str
) -> None:
    running = start_unready(local, service, wrong)

    eventually(lambda: named in (running.lacks() or ""), what=f"a word on {named}")


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("service", ["ingest", "api"])
def test_a_wrong_token_is_named_and_the_mended_file_is_taken_without_a_restart(
    local: LocalStack, service: str
) -> None:
    token = local.folder / "influxdb" / "tokens" / f"{service}-token"
    right = token.read_text()
    token.write_text("revoked")
    running = start_unready(local, service, {})
    eventually(lambda: "token" in (running.lacks() or ""), what="a word on the token")

    token.write_text(right)

    eventually(lambda: running.lacks() is None, what="readiness")


@pytest.mark.parametrize("service", ["ingest", "api"])
def test_a_server_that_comes_late_is_taken_without_a_restart(
    local: LocalStack, server: Influxd, service: str
) -> None:
    server.kill()
    running = start_unready(local, service, {})
    eventually(lambda: server.url in (running.lacks() or ""), what="a word on the server")

    server.start()

    eventually(lambda: running.lacks() is None, what="readiness")


def test_a_bucket_that_is_made_later_is_taken_without_a_restart(
    local: LocalStack, server: Influxd
) -> None:
    token = (local.folder / "influxdb" / "operator-token").read_text()
    path: Path = local.folder / "all-access"
    path.write_text(token)
    wrong = {"BUCKET": "later", "TOKEN_FILE": str(path)}
    running = start_unready(local, "ingest", wrong)
    eventually(lambda: "later" in (running.lacks() or ""), what="a word on the bucket")

    with InfluxDBClient(url=server.url, token=token, org="denyut") as client:
        client.buckets_api().create_bucket(bucket_name="later", org="denyut")

    eventually(lambda: running.lacks() is None, what="readiness")
