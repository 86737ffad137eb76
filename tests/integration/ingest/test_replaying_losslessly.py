"""A person's replays lose nothing, whatever the store does meanwhile."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from ingest.quarantine import Quarantine, QuarantineRecord
from ingest.replaying import replay_quarantine
from ingest.settings import IngestSettings
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store.opening import open_store
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import locked

NOW_MS = time.time_ns() // 1_000_000


@pytest.fixture
def settings(store_path: Path, tmp_path: Path) -> IngestSettings:
    """Settings under which ten readings went to quarantine that can be stored now."""
    settings = IngestSettings.load(
        {},
        password=Secret("hush"),
        store_url=f"sqlite:///{store_path}",
        store_timeout_seconds=0.1,
        data_dir=str(tmp_path / "data"),
    )
    open_store(settings).write([])
    records = [
        QuarantineRecord(
            NOW_MS,
            "telemetry/jakarta/node-1/weather",
            1,
            "a reason of then",
            encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq)),
        )
        for seq in range(10)
    ]
    Quarantine(settings.quarantine_folder, settings.quarantine_bytes).keep(records)
    return settings


async def test_what_can_be_stored_now_is_stored_and_leaves_the_quarantine(
    settings: IngestSettings,
    stored: Callable[[], list[Reading]],
    quarantined: Callable[[], list[QuarantineRecord]],
) -> None:
    assert await replay_quarantine(settings, lambda _line: None) == (10, 0)

    assert [one.seq for one in stored()] == list(range(10))
    assert quarantined() == []


async def test_a_store_that_is_away_is_waited_for(
    settings: IngestSettings,
    store_path: Path,
    stored: Callable[[], list[Reading]],
    quarantined: Callable[[], list[QuarantineRecord]],
) -> None:
    with locked(store_path):
        replay = asyncio.create_task(replay_quarantine(settings, lambda _line: None))
        began_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - began_s > 1.5)
        assert not replay.done()
        assert len(quarantined()) == 10
    assert await replay == (10, 0)

    assert [one.seq for one in stored()] == list(range(10))
    assert quarantined() == []


async def test_a_replay_that_is_given_up_leaves_the_quarantine_as_it_was(
    settings: IngestSettings,
    store_path: Path,
    quarantined: Callable[[], list[QuarantineRecord]],
) -> None:
    with locked(store_path):
        replay = asyncio.create_task(replay_quarantine(settings, lambda _line: None))
        began_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - began_s > 1)
        replay.cancel()
        with suppress(asyncio.CancelledError):
            await replay

    assert len(quarantined()) == 10
