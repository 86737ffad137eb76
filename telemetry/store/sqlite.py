"""The embedded store: one SQLite file in WAL mode, shared by several processes of one machine.

A reading is a row, its values a JSON object, so that fields need no schema. A write returns after
the write-ahead log is synced to the disk.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from telemetry.reading import MAX_INT64, Reading, Value
from telemetry.store import (
    Aggregate,
    Aggregated,
    Bucket,
    Refused,
    Selection,
    SequenceCount,
    Series,
    StoredSequence,
    StoreError,
    StoreMisconfigured,
    StoreTooSlow,
    StoreUnavailable,
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS series (
    id INTEGER PRIMARY KEY,
    site TEXT NOT NULL, device TEXT NOT NULL, measurement TEXT NOT NULL,
    UNIQUE (site, device, measurement)
) STRICT;
CREATE TABLE IF NOT EXISTS reading (
    series_id INTEGER NOT NULL REFERENCES series (id),
    time_ms INTEGER NOT NULL,
    boot_ms INTEGER, seq INTEGER,
    fields TEXT NOT NULL,
    PRIMARY KEY (series_id, time_ms)
) STRICT, WITHOUT ROWID;
"""
_INSERT = """
INSERT INTO reading (series_id, time_ms, boot_ms, seq, fields) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (series_id, time_ms) DO UPDATE SET
    boot_ms = coalesce(excluded.boot_ms, boot_ms),
    seq = coalesce(excluded.seq, seq),
    fields = json_patch(fields, excluded.fields)
"""
_SERIES = "(:site IS NULL OR site = :site) AND (:device IS NULL OR device = :device)"
_SELECTED = f"""{_SERIES} AND (:measurement IS NULL OR measurement = :measurement)
    AND (:except_site IS NULL OR site != :except_site)
    AND time_ms >= :start_ms AND time_ms < :stop_ms"""
_ROWS = "site, device, measurement, time_ms, fields, boot_ms, seq"
_LATEST = f"""
SELECT {_ROWS} FROM series JOIN reading ON series_id = id AND time_ms =
    (SELECT max(time_ms) FROM reading WHERE series_id = id)
WHERE {_SERIES} ORDER BY site, device, measurement
"""
_HAS_FIELD = """(:fields IS NULL OR EXISTS (SELECT 1 FROM json_each(reading.fields)
    WHERE key IN (SELECT value FROM json_each(:fields))))"""
_READINGS = f"""
SELECT {_ROWS} FROM series CROSS JOIN reading ON series_id = id
WHERE {_SELECTED} AND {_HAS_FIELD} ORDER BY time_ms %s, device, measurement LIMIT :limit
"""
# First and last by time need the whole interval in order; the others one pass.
_AGGREGATES: dict[Aggregate, str] = {
    "mean": "avg(value)",
    "min": "min(value)",
    "max": "max(value)",
    "sum": "sum(value)",
    "count": "count(value)",
    "first": "value, min(time_ms)",
    "last": "value, max(time_ms)",
}
_PERCENTS: dict[Aggregate, int] = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
_BUCKETS = f"""
WITH selected AS (
    SELECT site, device, measurement, time_ms - time_ms %% :every_ms AS start_ms, time_ms,
        key, type, value
    FROM series CROSS JOIN reading ON series_id = series.id, json_each(fields)
    WHERE {_SELECTED} AND (:fields IS NULL OR key IN (SELECT value FROM json_each(:fields)))
), bucket AS (
    SELECT DISTINCT start_ms, device, measurement, site FROM selected
    WHERE %(wanted)s ORDER BY start_ms, device, measurement LIMIT :limit
)
"""
_AGGREGATE = f"""{_BUCKETS}
SELECT site, device, measurement, start_ms, key, type, %(aggregate)s
FROM selected JOIN bucket USING (start_ms, device, measurement, site)
WHERE %(wanted)s GROUP BY start_ms, device, measurement, site, key
ORDER BY start_ms, device, measurement, key
"""
# The nearest rank, as InfluxQL's percentile() has it.
_PERCENTILE = f"""{_BUCKETS}
SELECT site, device, measurement, start_ms, key, type, value FROM (
    SELECT *,
        row_number() OVER (
            PARTITION BY start_ms, device, measurement, site, key ORDER BY value
        ) AS rank,
        count(*) OVER (PARTITION BY start_ms, device, measurement, site, key) AS readings
    FROM selected JOIN bucket USING (start_ms, device, measurement, site) WHERE %(wanted)s
) WHERE rank = CAST(readings * :percent / 100.0 + 0.5 AS INTEGER)
ORDER BY start_ms, device, measurement, key
"""
_NUMBERS = "type IN ('real', 'integer')"
_COUNTS = """
SELECT device, boot_ms, count(*), max(seq) FROM reading JOIN series ON series_id = id
WHERE boot_ms IS NOT NULL AND seq IS NOT NULL GROUP BY device, boot_ms ORDER BY device, boot_ms
"""
_SEQUENCES = """
SELECT site, device, measurement, time_ms, boot_ms, seq
FROM series CROSS JOIN reading ON series_id = id
WHERE boot_ms IS NOT NULL AND seq IS NOT NULL AND (:device IS NULL OR device = :device)
    AND time_ms >= :start_ms AND time_ms < :stop_ms
"""

_STEPS_BETWEEN_LOOKS = 10_000  # of SQLite's virtual machine: less than a millisecond

_decode_fields = msgspec.json.Decoder(dict[str, float | bool | str]).decode


class SQLiteStore:
    """A store in one file; threads may share it, each call has a connection to itself."""

    name = "sqlite"

    def __init__(
        self, path: str, *, read_only: bool = False, timeout_seconds: float = 10.0
    ) -> None:
        self._path = Path(path)
        self._read_only = read_only
        self._timeout_seconds = timeout_seconds
        self._idle: list[sqlite3.Connection] = []
        self._series: dict[tuple[str, str, str], int] = {}

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        """Store the readings in one transaction; SQLite refuses none that its types allow."""
        refused = [
            Refused(index, f"time {reading.time_ms} is not a 64-bit number")
            for index, reading in enumerate(readings)
            if not 0 <= reading.time_ms <= MAX_INT64
        ]
        outside = {one.index for one in refused}
        kept = [reading for index, reading in enumerate(readings) if index not in outside]
        with self._cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany(_INSERT, [self._row(cursor, reading) for reading in kept])
                cursor.execute("COMMIT")
            except BaseException:
                self._series.clear()  # it may name series that the rollback takes back
                if cursor.connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        return refused

    def check(self) -> None:
        """Raise StoreError unless the file can be read."""
        with self._cursor() as cursor:
            cursor.execute("SELECT 1 FROM series LIMIT 1").fetchall()

    def series(self) -> list[Series]:
        """Return every series with the time of its last reading."""
        rows = self._all(
            "SELECT site, device, measurement, (SELECT max(time_ms) FROM reading"
            " WHERE series_id = id) FROM series ORDER BY site, device, measurement"
        )
        return [Series(*row) for row in rows if row[3] is not None]

    def latest(self, *, site: str | None = None, device: str | None = None) -> list[Reading]:
        """Return the latest reading of each series."""
        return [_reading(row) for row in self._all(_LATEST, {"site": site, "device": device})]

    def readings(
        self, selection: Selection, *, limit: int, descending: bool = False
    ) -> list[Reading]:
        """Return the selected readings in order of time."""
        query = _READINGS % ("DESC" if descending else "ASC")
        rows = self._all(query, _given(selection, limit=limit))
        return [_reading(row, selection.fields) for row in rows]

    def aggregate(
        self, selection: Selection, *, every_ms: int, aggregate: Aggregate, limit: int
    ) -> Aggregated:
        """Return the selected readings, aggregated over intervals."""
        wanted = "1" if aggregate in ("count", "first", "last") else _NUMBERS
        percent = _PERCENTS.get(aggregate)
        expression = "value" if percent else _AGGREGATES[aggregate]
        template = _PERCENTILE if percent else _AGGREGATE
        query = template % {"wanted": wanted, "aggregate": expression}
        given = _given(selection, every_ms=every_ms, limit=limit, percent=percent or 0)
        buckets: dict[tuple[str, str, str, int], dict[str, Value]] = {}
        for site, device, measurement, start_ms, field, kind, value, *_time in self._all(
            query, given
        ):
            values = buckets.setdefault((site, device, measurement, start_ms), {})
            values[field] = _typed(value, kind if aggregate in ("first", "last") else "real")
        return Aggregated([Bucket(*key, values) for key, values in buckets.items()], "raw")

    def sequence_counts(self) -> Iterator[SequenceCount]:
        """Yield the count and greatest number of each boot."""
        for row in self._all(_COUNTS):
            yield SequenceCount(*row)

    def sequences(
        self,
        *,
        device: str | None = None,
        start_ms: int | None = None,
        stop_ms: int | None = None,
    ) -> Iterator[StoredSequence]:
        """Yield the identity and place of the stored readings that have them."""
        given = {
            "device": device,
            "start_ms": 0 if start_ms is None else start_ms,
            "stop_ms": MAX_INT64 if stop_ms is None else stop_ms,
        }
        with self._cursor() as cursor:
            for row in cursor.execute(_SEQUENCES, given):
                yield StoredSequence(*row)

    def close(self) -> None:
        """Close the connections that no call holds."""
        while self._idle:
            self._idle.pop().close()

    def _row(self, cursor: sqlite3.Cursor, reading: Reading) -> tuple[int | str | None, ...]:
        series_id = self._series_id(cursor, (reading.site, reading.device, reading.measurement))
        fields = msgspec.json.encode(reading.values).decode()
        return series_id, reading.time_ms, reading.boot_ms, reading.seq, fields

    def _series_id(self, cursor: sqlite3.Cursor, key: tuple[str, str, str]) -> int:
        known = self._series.get(key)
        if known is None:
            cursor.execute(
                "INSERT INTO series (site, device, measurement) VALUES (?, ?, ?)"
                " ON CONFLICT DO NOTHING",
                key,
            )
            cursor.execute(
                "SELECT id FROM series WHERE site = ? AND device = ? AND measurement = ?", key
            )
            known = self._series[key] = int(cursor.fetchone()[0])
        return known

    def _all(self, query: str, given: dict[str, object] | None = None) -> list[tuple]:  # type: ignore[type-arg]
        with self._cursor() as cursor, self._deadline(cursor.connection):
            return cursor.execute(query, given or {}).fetchall()

    @contextmanager
    def _deadline(self, connection: sqlite3.Connection) -> Iterator[None]:
        end = time.monotonic() + self._timeout_seconds
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
        try:
            yield
        finally:
            connection.set_progress_handler(None, 0)

    @contextmanager
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
        connection = None
        try:
            connection = self._idle_connection() or self._open()
            yield connection.cursor()
        except sqlite3.Error as error:
            raise _store_error(error, self._path) from error
        finally:
            if connection is not None:
                self._idle.append(connection)

    def _idle_connection(self) -> sqlite3.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _open(self) -> sqlite3.Connection:
        if self._read_only:
            target = f"{self._path.absolute().as_uri()}?mode=ro"
        else:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            target = self._path.absolute().as_uri()
        connection = sqlite3.connect(
            target,
            uri=True,
            timeout=self._timeout_seconds,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA)
        return connection


def _given(selection: Selection, **more: int) -> dict[str, object]:
    given = msgspec.structs.asdict(selection)
    if selection.fields is not None:
        given["fields"] = msgspec.json.encode(selection.fields).decode()
    return {**given, **more}


def _reading(row: tuple, wanted: tuple[str, ...] | None = None) -> Reading:  # type: ignore[type-arg]
    site, device, measurement, time_ms, fields, boot_ms, seq = row
    values = _decode_fields(fields)
    if wanted is not None:
        values = {name: values[name] for name in wanted if name in values}
        return Reading(site, device, measurement, time_ms, values)
    return Reading(site, device, measurement, time_ms, values, boot_ms, seq)


def _typed(value: float | str, kind: str) -> Value:
    if kind in ("true", "false"):
        return kind == "true"
    return float(value) if kind in ("real", "integer") else str(value)


def _store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """Sort SQLite's result codes (https://www.sqlite.org/rescode.html) into our tree."""
    name = getattr(error, "sqlite_errorname", "")
    message = f"{path}: {error}"
    if name.startswith("SQLITE_INTERRUPT"):
        return StoreTooSlow(message)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")):
        return StoreUnavailable(message)
    if name.startswith(("SQLITE_CANTOPEN", "SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_READONLY")):
        return StoreMisconfigured(message)
    return StoreError(message)
