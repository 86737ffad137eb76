"""Ingest in this process, before a scripted broker and on a real SQLite store."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol

import pytest
import uvloop

from ingest.quarantine import Quarantine, QuarantineRecord
from ingest.service import IngestService
from ingest.settings import IngestSettings
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import Selection, Store
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.eventually import eventually_async
from tests.log_lines import Line, capture_logs
from tests.scripted_broker import ScriptedBroker, scripted_broker


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with scripted_broker() as scripted:
        yield scripted


@pytest.fixture
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def stored(store_path: Path) -> Iterator[Callable[[], list[Reading]]]:
    """What is in the store now, without ingest's own figures."""
    store: Store = open_store(StoreSettings(store_url=f"sqlite:///{store_path}"))

    def read() -> list[Reading]:
        everything = Selection(start_ms=0, stop_ms=2**62)
        return [one for one in store.readings(everything, limit=100_000) if one.site != "denyut"]

    yield read
    store.close()


@pytest.fixture
def quarantined(tmp_path: Path) -> Callable[[], list[QuarantineRecord]]:
    """What is in quarantine now."""
    return lambda: list(Quarantine(tmp_path / "data" / "quarantine", 10**9).records())


@pytest.fixture
def logged() -> Iterator[list[Line]]:
    """What is logged meanwhile."""
    with capture_logs() as lines:
        yield lines


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep the store's write lock, so that every write waits: a real store that stays silent."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


class StartIngest(Protocol):
    async def __call__(self, *, subscribed: bool = True, **changed: object) -> IngestService: ...


@pytest.fixture
async def start_ingest(
    broker: ScriptedBroker, store_path: Path, tmp_path: Path
) -> AsyncIterator[StartIngest]:
    """Start an ingest, and wait until it is `subscribed`; it is stopped at the end of the test."""
    async with AsyncExitStack() as running:

        async def start(*, subscribed: bool = True, **changed: object) -> IngestService:
            settings = IngestSettings.load(
                {},
                **{
                    "broker_port": broker.port,
                    "password": Secret("hush"),
                    "store_url": f"sqlite:///{store_path}",
                    "data_dir": str(tmp_path / "data"),
                    "http_port": 0,
                    "flush_interval_ms": 10,
                    "stop_seconds": 1.0,
                }
                | changed,
            )
            service = await running.enter_async_context(_running(IngestService(settings)))
            if subscribed:
                await eventually_async(lambda: service.tally.connects, what="a subscription")
            return service

        yield start


async def stop(service: IngestService) -> None:
    """Stop an ingest, and wait until it has let go of all that it held."""
    service.stop()
    async with asyncio.timeout(15):
        await _runs[service]


_runs: dict[IngestService, asyncio.Task[None]] = {}


@asynccontextmanager
async def _running(service: IngestService) -> AsyncIterator[IngestService]:
    task = _runs[service] = asyncio.create_task(service.run())
    yield service
    del _runs[service]
    service.stop()
    async with asyncio.timeout(15):
        await task


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run the tests on the loop of a real ingest, which reads connections in its own manner."""
    return {"uvloop": uvloop.new_event_loop}
