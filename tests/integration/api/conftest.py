"""The API on a real SQLite store, asked through Flask's test client."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.app import create_app
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.reading import Reading, Value
from telemetry.store import Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings

Client = FlaskClient
Asking = Callable[..., Any]


@pytest.fixture
def now_ms() -> int:
    """A whole second, a moment ago, so that everything written up to it is in the past."""
    return (time.time_ns() // 1_000_000_000 - 1) * 1_000


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def written(store_url: str) -> Iterator[Store]:
    """The store as ingest holds it; it exists, and is empty."""
    store = open_store(StoreSettings(store_url=store_url))
    store.write([])
    yield store
    store.close()


@pytest.fixture
def settings(store_url: str) -> ApiSettings:
    return ApiSettings(store_url=store_url, cache_ms=0, max_points=1_000)


@pytest.fixture
def board() -> StatusBoard:
    return StatusBoard(100)


@pytest.fixture
def client(
    settings: ApiSettings, store_url: str, written: Store, board: StatusBoard
) -> Iterator[Client]:
    assert written.series() == []
    store = open_store(StoreSettings(store_url=store_url), read_only=True)
    yield create_app(settings, store, board).test_client()
    store.close()


@pytest.fixture
def get(client: Client) -> Asking:
    """Ask for a path, and return the answer's JSON."""

    def ask(path: str, **parameters: str | int) -> Any:
        response = client.get(path, query_string=parameters)
        assert response.status_code == 200, response.text
        assert response.content_type == "application/json"
        return response.json

    return ask


def reading(
    device: str,
    time_ms: int,
    seq: int | None = None,
    *,
    site: str = "hall",
    measurement: str = "weather",
    boot_ms: int = 1_700_000_000_000,
    **values: Value,
) -> Reading:
    boot = None if seq is None else boot_ms
    return Reading(site, device, measurement, time_ms, values or {"t": 1.0}, boot, seq)


def own_figures(service: str, client_id: str, time_ms: int, **values: float) -> Reading:
    """A service's own figures, as its process puts them into the store."""
    given: dict[str, Value] = {name: float(value) for name, value in values.items()}
    return Reading("denyut", client_id, f"denyut_{service}", time_ms, given)
