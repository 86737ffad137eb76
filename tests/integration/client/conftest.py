"""The client before a real API, on a real SQLite store and a real Mosquitto."""

from collections.abc import Iterator

import pytest

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.client import Client
from telemetry.reading import Reading
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings

START_MS = 1_769_860_800_000
"""2026-01-31T12:00:00Z."""

DEVICES = ("d1", "d2", "d3")
SECONDS = 50

SETTINGS = {
    "API_CACHE_MS": "0",
    "API_STREAM_OVERLAP_SECONDS": "1",
    "API_STREAM_HEARTBEAT_SECONDS": "0.5",
    # A device that answers does so in time, also where the machine stands still.
    "API_COMMAND_TIMEOUT_SECONDS": "4",
    "API_MAX_RANGE_HOURS": "87600",
}


def stored() -> list[Reading]:
    """A reading a second of each device."""
    return [
        Reading(
            "yard" if device == "d3" else "hall",
            device,
            "weather",
            START_MS + second * 1_000,
            {"temperature": 20.0 + second, "sunny": second % 2 == 0},
            START_MS,
            second,
        )
        for device in DEVICES
        for second in range(SECONDS)
    ]


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with LocalStack() as local:
        store = open_store(StoreSettings(store_url=local.store_url))
        store.write(stored())
        store.close()
        yield local
        for process in local.processes:
            print(f"--- {process.name}\n{process.log_tail()}")


@pytest.fixture(scope="module")
def mosquitto(stack: LocalStack) -> Broker:
    found = stack.start_broker()
    found.admit(DEVICES)
    return found


@pytest.fixture(scope="module")
def api(stack: LocalStack, mosquitto: Broker) -> Service:
    assert mosquitto.is_running
    return stack.start_api(settings=SETTINGS)


@pytest.fixture
def client(api: Service) -> Iterator[Client]:
    with Client(api.url, patience_seconds=5.0) as found:
        yield found
