"""Every store that there is, each fresh: the conformance suite runs on all of them."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from influxdb_client import InfluxDBClient

from stack.local import LocalStack
from stack.setup.influxdb import InfluxSetup
from stack.setup.plan import Plan
from stack.setup.server import Server
from stack.setup.tokens import TokenFolder
from telemetry.settings import Secret
from telemetry.store import Store
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import Place
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings


@pytest.fixture(scope="session")
def influxdb(influxd_installed: None) -> Iterator[LocalStack]:  # noqa: ARG001
    """A stack with nothing but a real InfluxDB, set up as ours is."""
    with LocalStack() as local:
        local.start_influxdb()
        yield local


@pytest.fixture(params=["sqlite", "influxdb"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = (
        open_store(StoreSettings(store_url=f"sqlite:///{tmp_path}/store.db"))
        if request.param == "sqlite"
        else fresh_influx_store(request.getfixturevalue("influxdb"))
    )
    yield opened
    opened.close()


def operator_token(local: LocalStack) -> Secret:
    """The token that may do everything."""
    return Secret((local.folder / "influxdb" / "operator-token").read_text())


def set_up(
    local: LocalStack, plan: Plan, tokens: Path, *, operator: Secret | None = None
) -> list[str]:
    """Apply a plan to a server that is set up already; return what was changed."""
    server = Server(local.store_url, operator or operator_token(local), plan.org)
    try:
        return list(InfluxSetup(server, plan).apply(TokenFolder(tokens), None))
    finally:
        server.close()


def fresh_influx_store(local: LocalStack) -> InfluxStore:
    """A store in a bucket of its own."""
    token = operator_token(local)
    bucket = f"test-{uuid.uuid4().hex}"
    with InfluxDBClient(url=local.store_url, token=token.value, org="denyut") as client:
        client.buckets_api().create_bucket(bucket_name=bucket, org="denyut")
    return InfluxStore(Place(local.store_url, "denyut", bucket), token)
