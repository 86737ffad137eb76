"""A SQLite store and its file: closed while a call waits for it, and replaced meanwhile."""

import sqlite3
import threading
from pathlib import Path

from telemetry.reading import Reading
from telemetry.store import StoreUnavailable
from telemetry.store.sqlite import SQLiteStore
from tests.eventually import eventually

READING = Reading("hall", "node-1", "weather", 1_700_000_000_000, {"a": 1.0})


def test_a_write_that_waits_for_the_lock_ends_soon_after_the_store_is_closed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "store.db"
    store = SQLiteStore(str(path), timeout_seconds=60)
    store.write([READING])
    ended: list[Exception] = []

    def write() -> None:
        try:
            store.write([READING])
        except StoreUnavailable as error:
            ended.append(error)

    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = threading.Thread(target=write)
    waiting.start()

    store.close()

    eventually(lambda: ended, deadline_seconds=5)
    waiting.join()
    other.close()


def test_a_write_waits_for_the_lock_as_long_as_it_may(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SQLiteStore(str(path), timeout_seconds=10)
    store.write([READING])
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")

    threading.Timer(0.5, other.execute, ["ROLLBACK"]).start()
    assert store.write([READING]) == []

    store.close()
    other.close()


def test_a_file_that_was_replaced_is_written_and_read_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store, reader = SQLiteStore(str(path)), SQLiteStore(str(path), read_only=True)
    other = Reading("hall", "node-2", "weather", 1_700_000_000_000, {"b": 2.0})
    store.write([READING])
    assert reader.latest() == [READING]

    for file in tmp_path.glob("store.db*"):
        file.unlink()
    store.write([other])
    store.write([READING])

    fresh = SQLiteStore(str(path), read_only=True)
    assert reader.latest() == fresh.latest() == [READING, other]
    for one in (store, reader, fresh):
        one.close()
