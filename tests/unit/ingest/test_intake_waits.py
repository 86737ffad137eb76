"""How long readings wait for others of their batch, before they go to the store together."""

import asyncio
import time
from pathlib import Path

import pytest

from telemetry.payload.native import encode_native
from tests.ingest_parts import Parts, reading

NOW_MS = time.time_ns() // 1_000_000
LONG_MS = 20_000
SOON_SECONDS = 5.0


def take(parts: Parts, first: int, count: int) -> None:
    """Take a pack over."""
    readings = [encode_native(reading(seq, time_ms=NOW_MS)) for seq in range(first, first + count)]
    parts.take(first, b"[" + b",".join(readings) + b"]", arrival_ms=NOW_MS)


@pytest.fixture
async def parts(tmp_path: Path) -> Parts:
    """Of these the first batch, which waits for nobody, has gone already."""
    parts = Parts(tmp_path, flush_interval_ms=LONG_MS, batch_readings=100)
    take(parts, 1_000, 1)
    await parts.intake.next_batch()
    return parts


async def test_a_large_batch_goes_as_soon_as_no_more_comes(parts: Parts) -> None:
    for first in (0, 5):
        take(parts, first, 5)

    async with asyncio.timeout(SOON_SECONDS):
        assert len(await parts.intake.next_batch()) == 10


async def test_a_small_batch_waits_for_others(parts: Parts) -> None:
    take(parts, 0, 9)
    waiting = asyncio.create_task(parts.intake.next_batch())
    done, _ = await asyncio.wait([waiting], timeout=0.2)
    assert not done

    take(parts, 9, 1)
    async with asyncio.timeout(SOON_SECONDS):
        assert len(await waiting) == 10


async def test_a_large_batch_waits_while_more_comes(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.intake._QUIET_SECONDS", 0.5)
    waiting = asyncio.create_task(parts.intake.next_batch())
    for first in range(0, 100, 10):
        take(parts, first, 10)
        await asyncio.sleep(0.01)

    async with asyncio.timeout(SOON_SECONDS):
        assert len(await waiting) == 100


async def test_a_stop_waits_for_nobody(parts: Parts) -> None:
    take(parts, 0, 3)
    waiting = asyncio.create_task(parts.intake.next_batch())
    await asyncio.sleep(0)
    parts.intake.hurry()

    async with asyncio.timeout(SOON_SECONDS):
        assert len(await waiting) == 3
