"""The one way to the store: its pace after each kind of failure, one call at a time."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest.store_writer import StoreWriter
from ingest.tally import Tally
from telemetry.lineprotocol import format_line
from telemetry.store import (
    Selection,
    StoreError,
    StoreMisconfigured,
    StoreThrottled,
    StoreTooSlow,
    StoreUnavailable,
)
from tests.eventually import STALL_SECONDS, eventually_async
from tests.failing_store import FailingStore
from tests.ingest_parts import reading
from tests.log_lines import capture_logs

NOW_MS = time.time_ns() // 1_000_000


def line(seq: int) -> bytes:
    return format_line(reading(seq, time_ms=NOW_MS)).encode()


ONE = [line(1)]


@pytest.fixture
def store(tmp_path: Path) -> FailingStore:
    return FailingStore(str(tmp_path / "store.db"))


@pytest.fixture
def tally() -> Tally:
    return Tally()


@pytest.fixture
async def writer(store: FailingStore, tally: Tally) -> AsyncIterator[StoreWriter]:
    writer = StoreWriter(lambda: store, tally)
    yield writer
    store.answers.set()
    writer.close()


async def write_until_stored(writer: StoreWriter) -> None:
    while True:
        try:
            await writer.write(ONE)
        except StoreError:
            continue
        return


async def test_what_was_written_is_in_the_store_and_what_it_refuses_comes_back(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.refuses = lambda one: one.seq == 2
    three = [line(seq) for seq in (1, 2, 3)]

    refused = await writer.write(three)

    assert [(one.index, one.reason) for one in refused] == [(1, "refused on command")]
    everything = Selection(start_ms=0, stop_ms=2**62)
    assert [one.seq for one in store.readings(everything, limit=9)] == [1, 3]


async def test_the_store_sees_one_call_at_a_time(store: FailingStore, writer: StoreWriter) -> None:
    store.answers.clear()
    calls = [asyncio.create_task(writer.write(ONE)) for _ in range(5)]
    calls_and_checks = [*calls, asyncio.create_task(writer.check())]
    await eventually_async(lambda: store.called_s)
    store.answers.set()
    await asyncio.gather(*calls_and_checks)

    assert (len(store.called_s), store.at_once) == (5, 1)


async def test_after_a_failure_the_pauses_double_up_to_a_limit_and_are_jittered(
    store: FailingStore, tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.store_writer._FIRST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr("ingest.store_writer._LONGEST_PAUSE_SECONDS", 0.16)
    writer = StoreWriter(lambda: store, tally)
    store.failure = StoreUnavailable("away")
    trying = asyncio.create_task(write_until_stored(writer))
    await eventually_async(lambda: len(store.called_s) == 8)
    store.failure = None
    await trying

    ends_and_calls = zip(store.ended_s, store.called_s[1:], strict=False)
    for number, (ended_s, called_s) in enumerate(ends_and_calls):
        longest_s = min(0.02 * 2**number, 0.16)
        assert longest_s / 2 <= called_s - ended_s <= longest_s + STALL_SECONDS
    writer.close()


async def test_the_pause_that_the_store_asks_for_is_kept(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.failure = StoreThrottled("slow down", 0.6)
    trying = [asyncio.create_task(write_until_stored(writer)) for _ in range(3)]
    await eventually_async(lambda: len(store.called_s) == 3)
    store.failure = None
    await asyncio.gather(*trying)

    pauses_s = [later - earlier for earlier, later in itertools.pairwise(store.called_s[:4])]
    assert all(0.6 <= pause_s <= 0.6 * 1.1 + STALL_SECONDS for pause_s in pauses_s)


async def test_a_misconfigured_store_is_asked_at_most_once_a_second(
    store: FailingStore,
    writer: StoreWriter,
    tally: Tally,
) -> None:
    store.failure = StoreMisconfigured("401 unauthorized")
    with capture_logs() as logged:
        trying = [asyncio.create_task(write_until_stored(writer)) for _ in range(3)]
        await eventually_async(lambda: len(store.called_s) == 3)
        store.failure = None
        await asyncio.gather(*trying)

    pauses_s = [later - earlier for earlier, later in itertools.pairwise(store.called_s[:4])]
    assert all(1.0 <= pause_s <= 1.0 + STALL_SECONDS for pause_s in pauses_s)
    assert tally.store_refusals == 3
    assert sum("the store refuses everything" in line["event"] for line in logged) == 1


async def test_whoever_waits_for_a_turn_does_not_try_again_right_behind_a_failure(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.failure = StoreThrottled("slow down", 60)
    store.answers.clear()
    calls = [asyncio.create_task(writer.write(ONE)) for _ in range(4)]
    await eventually_async(lambda: store.called_s)
    store.answers.set()

    ends = await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(end, StoreThrottled) for end in ends)
    assert len(store.called_s) == 1


async def test_one_that_cannot_wait_hears_the_last_failure_without_a_call(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.failure = StoreThrottled("slow down", 60)
    with pytest.raises(StoreThrottled):
        await writer.write(ONE)
    began_s = time.monotonic()

    with pytest.raises(StoreThrottled, match="slow down"):
        await writer.write(ONE, give_up_at_s=began_s + 0.2)

    assert 0.2 <= time.monotonic() - began_s <= 5
    assert len(store.called_s) == 1


async def test_a_failure_that_is_told_many_times_gathers_nothing(
    store: FailingStore, writer: StoreWriter
) -> None:
    """Each telling would add its callers to the traceback, and so hold on to their batches."""
    store.failure = StoreThrottled("slow down", 60)
    depths = []
    for _ in range(50):
        try:
            await writer.write(ONE, give_up_at_s=0)
        except StoreThrottled as error:
            depth, traceback = 0, error.__traceback__
            while traceback is not None:
                depth, traceback = depth + 1, traceback.tb_next
            depths.append(depth)

    assert max(depths[1:]) == min(depths[1:])


async def test_a_failure_of_an_unknown_kind_is_a_failure_like_others(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.failure = ZeroDivisionError("a bug")
    with pytest.raises(StoreUnavailable, match="ZeroDivisionError: a bug"):
        await writer.write(ONE)
    assert writer.problem == "ZeroDivisionError: a bug"
    await writer.check()
    store.failure = None

    await write_until_stored(writer)


async def test_the_store_is_away_from_the_first_failing_call_to_the_next_success(
    store: FailingStore, writer: StoreWriter
) -> None:
    assert writer.away_seconds == 0
    store.failure = StoreTooSlow("no answer in time")
    store.answers.clear()
    call = asyncio.create_task(writer.write(ONE))
    began_s = time.monotonic()
    await eventually_async(lambda: time.monotonic() - began_s > 0.3)
    store.answers.set()
    with pytest.raises(StoreTooSlow):
        await call

    assert writer.away_seconds >= 0.3
    problems = [writer.problem]
    store.failure = None
    await write_until_stored(writer)
    assert writer.away_seconds == 0
    assert [*problems, writer.problem] == ["no answer in time", None]


async def test_a_store_that_has_not_answered_yet_is_not_called_well(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.answers.clear()
    call = asyncio.create_task(writer.write(ONE))
    await eventually_async(lambda: store.called_s)

    before = writer.problem
    store.answers.set()
    await call

    assert (before, writer.problem) == ("it has not answered yet", None)


async def test_a_check_shows_a_store_that_is_away_before_anything_is_written(
    store: FailingStore, writer: StoreWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.store_writer._CHECKED_LATELY_SECONDS", 0)
    problems = []
    for failure in (None, StoreUnavailable("away"), None):
        store.failure = failure
        await writer.check()
        problems.append(writer.problem)

    assert problems == [None, "away", None]
    assert writer.away_seconds == 0


async def test_no_check_is_made_beside_a_call_after_a_success_or_in_a_pause(
    store: FailingStore, writer: StoreWriter
) -> None:
    await writer.write(ONE)
    await writer.check()
    store.answers.clear()
    call = asyncio.create_task(writer.write(ONE))
    await eventually_async(lambda: len(store.called_s) == 2)
    await writer.check()
    store.failure = StoreUnavailable("away")
    store.answers.set()
    with pytest.raises(StoreUnavailable):
        await call
    await writer.check()

    assert store.checks == 0


async def test_closing_does_not_wait_for_a_call_that_hangs(
    store: FailingStore, writer: StoreWriter
) -> None:
    store.answers.clear()
    call = asyncio.create_task(writer.write(ONE))
    await eventually_async(lambda: store.called_s)
    began_s = time.monotonic()

    writer.close()

    assert time.monotonic() - began_s < 5
    call.cancel()
