"""A store that takes the question and never answers: each route gives up in time and says so."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from api.app import create_app
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.settings import Secret
from telemetry.store.opening import open_store
from tests.eventually import STALL_SECONDS
from tests.integration.api.conftest import Client
from tests.integration.api.test_error_shape import ASKING_PATHS, problem

TIMEOUT_SECONDS = 0.4


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that accepts and is silent."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def client(silent: str) -> Iterator[Client]:
    settings = ApiSettings(
        store_url=silent, store_token=Secret("token"), store_timeout_seconds=TIMEOUT_SECONDS
    )
    store = open_store(settings, read_only=True)
    yield create_app(settings, store, StatusBoard(9)).test_client()
    store.close()


@pytest.mark.parametrize("path", ASKING_PATHS)
def test_every_route_gives_up_in_time(client: Client, path: str) -> None:
    started = time.monotonic()
    found = problem(client.get(path), 504)
    assert time.monotonic() - started < TIMEOUT_SECONDS + STALL_SECONDS
    assert found["type"] == "urn:denyut:problem:store-too-slow"


def test_those_who_joined_the_question_give_up_in_time_too(client: Client) -> None:
    found: list[tuple[int, float]] = []

    def ask() -> None:
        started = time.monotonic()
        status = client.application.test_client().get("/v1/latest").status_code
        found.append((status, time.monotonic() - started))

    threads = [threading.Thread(target=ask) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert [status for status, _ in found] == [504] * 10
    assert max(seconds for _, seconds in found) < TIMEOUT_SECONDS + STALL_SECONDS
