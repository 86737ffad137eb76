"""What an ingest loads: what its settings switch on, and nothing of the ways that they do not."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import Struct

# Each costs a start 5 to 120 ms, and memory 1 to 40 MB for good.
_NOT_BY_DEFAULT = (
    "aiohttp",
    "cryptography",
    "influxdb_client",
    "prometheus_client",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "structlog",
    "typer",
    "urllib3",
    "watchfiles",
    "ingest.sources.folder.source",
    "ingest.sources.http.source",
    "ingest.sources.streams",
    "ingest.sources.datagrams",
)
_STARTED = """
import asyncio, gc, json, runpy, sys
from ingest.service import IngestService

run = IngestService.run

def collections():
    return sum(generation["collections"] for generation in gc.get_stats())

async def until_it_knows_its_store(self):
    seen = {"collections": collections() - before, "collects": gc.isenabled()}
    running = asyncio.create_task(run(self))
    while self._writer._store is None:
        await asyncio.sleep(0.01)
    self.stop()
    await running
    print(json.dumps({"modules": sorted(sys.modules), **seen}))

IngestService.run = until_it_knows_its_store
sys.argv = ["ingest"]
before = collections()
runpy.run_module("ingest", run_name="__main__")
"""


class Started(Struct):
    """What an ingest has loaded, and what its garbage collector did until it worked."""

    modules: set[str]
    collections: int
    collects: bool


def started(folder: Path, **settings: str) -> Started:
    """Return what is to be known of an ingest that was stopped before anything came."""
    environment = {
        "INGEST_STORE_URL": "http://127.0.0.1:1",
        "INGEST_STORE_TOKEN": "t",
        "INGEST_PASSWORD": "p",
        "INGEST_BROKER_PORT": "1",
        "INGEST_DATA_DIR": str(folder),
        "INGEST_HTTP_PORT": "0",
        **settings,
    }
    found = subprocess.run(
        [sys.executable, "-c", _STARTED],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert found.returncode == 0, found.stderr
    return msgspec.json.decode(found.stdout, type=Started)


def test_a_default_ingest_loads_nothing_of_the_ways_that_are_off(tmp_path: Path) -> None:
    modules = started(tmp_path).modules

    assert "ingest.sources.mqtt.source" in modules
    assert "telemetry.store.influxdb" in modules
    assert not modules & set(_NOT_BY_DEFAULT)


def test_garbage_is_looked_for_when_it_works_and_not_before(tmp_path: Path) -> None:
    ingest = started(tmp_path)

    assert ingest.collections == 0
    assert ingest.collects


@pytest.mark.parametrize(
    ("setting", "value", "module"),
    [
        ("INGEST_STORE_URL", "sqlite:///{folder}/store.db", "sqlite3"),
        ("INGEST_FOLDER", "{folder}/shared", "watchfiles"),
        ("INGEST_UNIX_SOCKET", "{folder}/ingest.sock", "ingest.sources.streams"),
    ],
)
def test_a_way_that_is_on_is_loaded(tmp_path: Path, setting: str, value: str, module: str) -> None:
    assert module in started(tmp_path, **{setting: value.format(folder=tmp_path)}).modules
