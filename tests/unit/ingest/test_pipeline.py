"""From the intake to store, spool and quarantine, with real parts and a store that fails."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.quarantine import QuarantineRecord
from ingest.spool import segments
from ingest.spool_segment import HEADING, encode_record, records
from telemetry.store import Selection, StoreThrottled, StoreUnavailable
from tests.eventually import eventually_async
from tests.ingest_parts import Parts

NOW_MS = time.time_ns() // 1_000_000
AWAY = StoreUnavailable("away")


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.store_writer._FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("ingest.store_writer._LONGEST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr("ingest.spooling._LOOK_SECONDS", 0.05)


def stored(parts: Parts) -> list[int | None]:
    everything = Selection(start_ms=0, stop_ms=2**62)
    return [one.seq for one in parts.store.readings(everything, limit=10_000)]


def quarantined(parts: Parts) -> list[QuarantineRecord]:
    return list(parts.quarantine.records())


def full(*_: object) -> None:
    raise OSError(28, "No space left on device")


async def test_while_the_store_is_away_readings_are_spooled_acknowledged_and_stored_later(
    tmp_path: Path,
) -> None:
    parts = Parts(tmp_path)
    async with parts.working():
        parts.store.failure = AWAY
        for seq in range(1, 31):
            parts.take_reading(seq, time_ms=NOW_MS, qos=seq % 3)
        await eventually_async(lambda: len(parts.acknowledged) == 20)
        assert (parts.tally.spooled, parts.tally.in_flight) == (30, 0)
        parts.store.failure = None
        await eventually_async(lambda: parts.tally.spooled == 0)

        assert stored(parts) == list(range(1, 31))
        assert parts.tally.written == [10, 10, 10]
        assert parts.tally.balance == 0
        await eventually_async(lambda: segments(parts.settings.spool_folder) == [])


async def test_nothing_is_acknowledged_while_store_and_spool_have_no_room_and_all_of_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(tmp_path)
    async with parts.working():
        parts.store.failure = AWAY
        with monkeypatch.context() as disk:
            disk.setattr("ingest.spool.append_durably", full)
            parts.take_reading(1, time_ms=NOW_MS)
            await eventually_async(lambda: parts.spooling.problem)
            assert parts.acknowledged == []
        await eventually_async(lambda: parts.acknowledged == [1])
        assert parts.tally.spooled == 1


@pytest.mark.parametrize("in_the_end", ["the disk has room", "the store is back"])
async def test_a_full_spool_is_no_problem_any_more_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, in_the_end: str
) -> None:
    monkeypatch.setattr("ingest.pipeline._FULL_SPOOL_SECONDS", 0.05)
    parts = Parts(tmp_path)
    async with parts.working():
        parts.store.failure = AWAY
        with monkeypatch.context() as disk:
            disk.setattr("ingest.spool.append_durably", full)
            parts.take_reading(1, time_ms=NOW_MS)
            await eventually_async(lambda: "No space left" in str(parts.spooling.problem))
            if in_the_end == "the store is back":
                parts.store.failure = None
                await eventually_async(lambda: parts.acknowledged)
                assert parts.spooling.problem is None
        await eventually_async(lambda: parts.spooling.problem is None)


async def test_a_full_spool_and_a_store_that_asks_for_a_long_pause_are_not_tried_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def fill(path: Path, _data: bytes) -> None:
        tries.append(path)
        full()

    monkeypatch.setattr("ingest.spool.append_durably", fill)
    monkeypatch.setattr("ingest.pipeline._FULL_SPOOL_SECONDS", 0.5)
    parts = Parts(tmp_path)
    async with parts.working():
        parts.store.failure = StoreThrottled("slow down", 60)
        parts.take_reading(1, time_ms=NOW_MS)
        began_s = time.monotonic()
        await eventually_async(lambda: time.monotonic() - began_s > 1.2)

        assert 1 <= len(tries) <= 3
        assert len(parts.store.called_s) == 1


async def test_readings_that_the_store_refuses_are_quarantined_out_of_batch_and_spool_alike(
    tmp_path: Path,
) -> None:
    parts = Parts(tmp_path)
    parts.store.refuses = lambda one: one.seq is not None and one.seq % 5 == 0
    async with parts.working():
        for seq in range(1, 11):
            parts.take_reading(seq, time_ms=NOW_MS, qos=seq % 3)
        await eventually_async(lambda: parts.tally.in_flight == 0)
        parts.store.failure = AWAY
        for seq in range(11, 21):
            parts.take_reading(seq, time_ms=NOW_MS, qos=seq % 3)
        await eventually_async(lambda: parts.tally.spooled == 10)
        parts.store.failure = None
        await eventually_async(lambda: parts.tally.spooled == 0 and parts.tally.in_flight == 0)

        assert stored(parts) == [seq for seq in range(1, 21) if seq % 5]
        assert [one.reason for one in quarantined(parts)] == ["refused on command"] * 4
        # In a record of the spool readings stand by their level.
        assert [one.qos for one in quarantined(parts)] == [5 % 3, 10 % 3, 15 % 3, 20 % 3]
        assert sum(parts.tally.written) == 16
        assert parts.tally.balance == 0


async def test_an_error_after_the_store_had_it_stores_it_once(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    async with parts.working():
        parts.store.late_failure = StoreUnavailable("500")
        parts.take_reading(1, time_ms=NOW_MS)
        await eventually_async(lambda: parts.acknowledged)
        assert parts.tally.spooled == 1
        parts.store.late_failure = None
        await eventually_async(lambda: parts.tally.spooled == 0)

        assert stored(parts) == [1]


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"?" + content[-2:])


def write_nonsense(path: Path) -> None:
    path.write_bytes(HEADING + encode_record(b"this is no line\n", (0, 1, 0)))


def write_too_few(path: Path) -> None:
    path.write_bytes(HEADING + encode_record(b"", (0, 1, 0)))


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (damage, "is damaged"),
        (write_nonsense, "is unreadable"),
        (write_too_few, "0 readings where 1 were written"),
    ],
)
async def test_what_cannot_be_read_in_the_spool_goes_to_quarantine_and_the_rest_is_stored(
    tmp_path: Path, harm: Callable[[Path], None], reason: str
) -> None:
    first = Parts(tmp_path)
    async with first.working():
        first.store.failure = AWAY
        first.take_reading(1, time_ms=NOW_MS)
        await eventually_async(lambda: first.tally.spooled == 1)
    harm(*segments(first.settings.spool_folder))
    again = Parts(tmp_path)
    async with again.working():
        again.take_reading(2, time_ms=NOW_MS)
        await eventually_async(lambda: again.tally.spooled == again.tally.in_flight == 0)

        assert again.tally.taken_over == again.tally.quarantined == 1
        (record,) = quarantined(again)
        assert reason in record.reason
        assert stored(again) == [2]
        assert again.tally.balance == 0


async def test_a_record_that_cannot_be_read_takes_no_neighbour_of_its_write_to_quarantine(
    tmp_path: Path,
) -> None:
    first = Parts(tmp_path)
    async with first.working():
        first.store.failure = AWAY
        for seq in (1, 2, 3):
            first.take_reading(seq, time_ms=NOW_MS)
            await eventually_async(lambda seq=seq: first.tally.spooled == seq)  # type: ignore[misc]
    (path,) = segments(first.settings.spool_folder)
    one, two, three = records(path)
    content = path.read_bytes()
    nonsense = encode_record(b"this is no line\n", (0, 1, 0))
    path.write_bytes(content[: two.start] + nonsense + content[three.start :])
    again = Parts(tmp_path)
    async with again.working():
        await eventually_async(lambda: again.tally.spooled == again.tally.in_flight == 0)

        assert one.readings == 1
        assert stored(again) == [1, 3]
        assert ["is unreadable" in kept.reason for kept in quarantined(again)] == [True]
        assert (again.tally.taken_over, again.tally.balance) == (3, 0)


@pytest.mark.parametrize("method", ["oldest", "remove", "take_over"])
async def test_a_spool_that_cannot_be_read_for_a_moment_is_said_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    parts = Parts(tmp_path)
    async with parts.working():
        with monkeypatch.context() as disk:
            disk.setattr(parts.spool, method, full)
            parts.store.failure = AWAY
            parts.take_reading(1, time_ms=NOW_MS)
            await eventually_async(lambda: parts.tally.spooled == 1)
            parts.store.failure = None
            await eventually_async(lambda: "No space left" in str(parts.spooling.problem))
        await eventually_async(lambda: parts.spooling.problem is None)
        await eventually_async(lambda: parts.spool.oldest() is None)

        assert stored(parts) == [1]


async def test_a_stop_puts_what_a_silent_store_was_given_into_the_spool(tmp_path: Path) -> None:
    parts = Parts(tmp_path, stop_seconds=4.0, spool_after_ms=60_000)
    async with parts.working():
        parts.store.answers.clear()
        for seq in (0, 1, 2):
            parts.take_reading(seq, time_ms=NOW_MS, qos=seq)
        await eventually_async(lambda: parts.store.called_s)
        began_s = time.monotonic()
        async with asyncio.timeout(4):
            await parts.pipeline.drain()

        assert time.monotonic() - began_s >= 0.8
        assert parts.acknowledged == [1, 2]
        assert (parts.tally.spooled, parts.tally.in_flight, parts.tally.balance) == (3, 0, 0)


async def test_a_stop_waits_for_a_store_that_answers_in_time(tmp_path: Path) -> None:
    parts = Parts(tmp_path, stop_seconds=4.0, spool_after_ms=60_000, flush_interval_ms=60_000)
    async with parts.working():
        # Only the first batch does not wait for others anyway.
        parts.take_reading(1, time_ms=NOW_MS)
        await eventually_async(lambda: parts.acknowledged == [1])
        for seq in (2, 3):
            parts.take_reading(seq, time_ms=NOW_MS)
        async with asyncio.timeout(10):
            await parts.pipeline.drain()

        assert (stored(parts), parts.acknowledged) == ([1, 2, 3], [1, 2, 3])
        assert parts.tally.spooled == 0


async def test_the_first_batch_after_a_start_does_not_wait_for_more(tmp_path: Path) -> None:
    parts = Parts(tmp_path, flush_interval_ms=60_000)
    async with parts.working():
        parts.take_reading(1, time_ms=NOW_MS)
        await eventually_async(lambda: parts.acknowledged == [1])


async def test_a_quarantine_without_room_holds_back_its_own_and_what_came_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order: those behind it are stored, and acknowledged when it is kept."""
    parts = Parts(tmp_path)
    async with parts.working():
        with monkeypatch.context() as disk:
            disk.setattr("ingest.quarantine.append_durably", full)
            parts.take(1, b"{nonsense", arrival_ms=NOW_MS)
            parts.take_reading(2, time_ms=NOW_MS)
            await eventually_async(lambda: parts.quarantining.problem)
            await eventually_async(lambda: sum(parts.tally.written) == 1)
            assert (parts.acknowledged, parts.tally.balance) == ([], 0)
        await eventually_async(lambda: parts.acknowledged == [1, 2])
        assert parts.quarantining.problem is None


async def test_qos_0_readings_that_are_held_at_the_end_are_counted_as_dropped(
    tmp_path: Path,
) -> None:
    parts = Parts(tmp_path, spool_after_ms=60_000)
    async with parts.working():
        parts.store.failure = AWAY
        for seq in range(9):
            parts.take_reading(seq, time_ms=NOW_MS, qos=seq % 3)
        await eventually_async(lambda: parts.store.called_s)
    parts.pipeline.count_dropped()

    assert parts.tally.dropped == {"stopped": 3}
    assert (parts.tally.in_flight, parts.tally.balance) == (6, 0)
