"""What an ingest loads: what its settings switch on, and nothing of the ways that they do not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Each costs a start 5 to 120 ms, and memory 1 to 40 MB for good.
_NOT_BY_DEFAULT = (
    "aiohttp",
    "cryptography",
    "influxdb_client",
    "prometheus_client",
    "rich",
    "sqlalchemy",
    "sqlite3",
    "typer",
    "urllib3",
    "watchfiles",
    "ingest.sources.folder.source",
    "ingest.sources.http.source",
    "ingest.sources.streams",
    "ingest.sources.datagrams",
)
_LOADED = """
import asyncio, runpy, sys
from ingest.service import IngestService

async def until_it_knows_its_store(self):
    running = asyncio.create_task(self.run())
    while self._writer._store is None:
        await asyncio.sleep(0.01)
    self.stop()
    await running
    print(*sorted(sys.modules))

IngestService.serve = until_it_knows_its_store
sys.argv = ["ingest"]
runpy.run_module("ingest", run_name="__main__")
"""


def loaded(folder: Path, **settings: str) -> set[str]:
    """Return the modules of an ingest that was stopped before anything came."""
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
        [sys.executable, "-c", _LOADED],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert found.returncode == 0, found.stderr
    return set(found.stdout.split())


def test_a_default_ingest_loads_nothing_of_the_ways_that_are_off(tmp_path: Path) -> None:
    modules = loaded(tmp_path)

    assert "ingest.sources.mqtt.source" in modules
    assert "telemetry.store.influxdb" in modules
    assert not modules & set(_NOT_BY_DEFAULT)


@pytest.mark.parametrize(
    ("setting", "value", "module"),
    [
        ("INGEST_STORE_URL", "sqlite:///{folder}/store.db", "sqlite3"),
        ("INGEST_FOLDER", "{folder}/shared", "watchfiles"),
        ("INGEST_UNIX_SOCKET", "{folder}/ingest.sock", "ingest.sources.streams"),
    ],
)
def test_a_way_that_is_on_is_loaded(tmp_path: Path, setting: str, value: str, module: str) -> None:
    assert module in loaded(tmp_path, **{setting: value.format(folder=tmp_path)})
