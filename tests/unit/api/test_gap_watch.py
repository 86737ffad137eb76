from collections.abc import Iterator
from pathlib import Path

import pytest

from api import gaps
from api.gaps import GapWatch
from api.status_board import StatusBoard
from telemetry.reading import Reading
from telemetry.store import SequenceCount, StoreTooSlow
from telemetry.store.sqlite import SQLiteStore

BOOT_MS = 1_700_000_000_000


def reading(seq: int) -> Reading:
    return Reading("site", "device-1", "m", BOOT_MS + seq, {"a": 1.0}, BOOT_MS, seq)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """A store in which one of three readings is missing."""
    found = SQLiteStore(str(tmp_path / "readings.db"))
    found.write([reading(0), reading(2)])
    yield found
    found.close()


@pytest.fixture
def watch() -> GapWatch:
    return GapWatch(StatusBoard(10), 60.0)


def too_slow() -> list[SequenceCount]:
    raise StoreTooSlow("no answer within 5 s")


def test_where_counting_is_quick_who_asks_hears_what_is_there_now(
    store: SQLiteStore, watch: GapWatch
) -> None:
    watch.count(store)
    store.write([reading(1)])

    counted = watch.counted(store.sequence_counts)

    assert (counted.by_level["unknown"].count, counted.by_level["unknown"].missing) == (3, 0)


def test_where_counting_takes_long_who_asks_hears_the_last_count_and_when_it_was(
    store: SQLiteStore, watch: GapWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gaps, "_QUICK_SECONDS", 0.0)
    watch.count(store)
    first = watch.counted(too_slow)

    assert (first.by_level["unknown"].count, first.by_level["unknown"].missing) == (2, 1)
    assert watch.counted(too_slow).time_ms == first.time_ms


def test_a_count_that_becomes_too_slow_is_answered_by_the_last_one(
    store: SQLiteStore, watch: GapWatch
) -> None:
    watch.count(store)

    assert watch.counted(too_slow).by_level["unknown"].missing == 1


def test_where_nothing_was_counted_yet_a_slow_store_is_said(watch: GapWatch) -> None:
    with pytest.raises(StoreTooSlow):
        watch.counted(too_slow)
