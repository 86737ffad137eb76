"""A batch waits for more readings by how busy the store is, and no longer than it may."""

import time
from pathlib import Path

import pytest

from ingest.lingering import linger_seconds
from tests.eventually import eventually_async, passing
from tests.ingest_parts import Parts

NOW_MS = time.time_ns() // 1_000_000
FLUSH_SECONDS = 2.0


@pytest.mark.parametrize(
    ("write_seconds", "lingers_seconds"),
    [(0.0, 0.025), (0.01, 0.025), (0.03, 0.06), (0.04, 0.08), (0.05, 0.1), (9.0, 0.1)],
)
def test_it_waits_two_writes_from_a_quarter_of_the_flush_interval_up_to_all_of_it(
    write_seconds: float, lingers_seconds: float
) -> None:
    assert linger_seconds(write_seconds, 0.1) == pytest.approx(lingers_seconds)


async def test_what_came_during_a_long_write_is_written_at_once_after_it(tmp_path: Path) -> None:
    parts = Parts(tmp_path, flush_interval_ms=round(FLUSH_SECONDS * 1000), spool_after_ms=60_000)
    async with parts.working():
        parts.store.answers.clear()
        parts.take_reading(1, time_ms=NOW_MS)
        await eventually_async(lambda: parts.store.called_s)
        parts.take_reading(2, time_ms=NOW_MS)
        second_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - second_s > FLUSH_SECONDS)
        parts.store.answers.set()
        stood_still_s = await passing(FLUSH_SECONDS / 2)
        await eventually_async(lambda: parts.acknowledged == [1, 2])

    waited_s = parts.store.called_s[1] - parts.store.ended_s[0]
    assert waited_s < FLUSH_SECONDS / 2 + stood_still_s
