"""The embedded store: one SQLite file in WAL mode, shared by several processes of one machine.

A reading is a row, its values a JSON object, so that fields need no schema. A write returns after
the write-ahead log is synced to the disk.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from telemetry.fileid import FileId
from telemetry.lineprotocol import parse_readings
from telemetry.reading import MAX_INT64, Reading, Value
from telemetry.store import (
    Aggregate,
    Aggregated,
    Bucket,
    FieldType,
    Position,
    ReadingCount,
    Refused,
    Row,
    Selection,
    SequenceCount,
    Series,
    StoredField,
    StoredSequence,
)
from telemetry.store.paging import (
    FIRST_SPAN_MS,
    PLACE_OF_READING,
    PLACE_OF_ROW,
    Group,
    Pager,
    resumed,
    rows_at_once,
)
from telemetry.store.sqlite import questions
from telemetry.store.sqlite.connections import Connections
from telemetry.store.sqlite.plain_lines import Shape, Types, read_plain, shape_of

_FIELD_TYPES: dict[type, FieldType] = {float: "number", int: "number", bool: "boolean", str: "text"}

_NewRow = tuple[int, int, int | None, int | None, str]
"""Series, time, boot, number and values, as JSON."""


class _Known(NamedTuple):
    """What the lines of a head are: their series, and how the last one of them looked."""

    series_id: int
    measurement: str
    shape: Shape | None = None


Given = TypeVar("Given", Reading, bytes)

_decode_fields = msgspec.json.Decoder(dict[str, float | bool | str]).decode


class SQLiteStore:
    """A store in one file; threads may share it, each call has a connection to itself."""

    name = "sqlite"

    def __init__(
        self, path: str, *, read_only: bool = False, timeout_seconds: float = 10.0
    ) -> None:
        self._connections = Connections(
            Path(path), read_only=read_only, timeout_seconds=timeout_seconds
        )
        self._known_in: FileId | None = None
        self._forget()

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        """Store the readings in one transaction; SQLite refuses none that its types allow."""
        return self._insert(self._row, readings)

    def write_lines(self, lines: Sequence[bytes], *, divisible: bool = False) -> list[Refused]:  # noqa: ARG002
        """Store the readings of lines in one transaction, in their order."""
        return self._insert(self._row_of_line, lines)

    def check(self) -> None:
        """Raise StoreError unless the file can be read."""
        with self._connections.one() as connection:
            connection.execute("SELECT 1 FROM series LIMIT 1").fetchall()

    def series(self) -> list[Series]:
        """Return every series with the time of its last reading."""
        rows = self._all(questions.SERIES)
        return [Series(*row) for row in rows if row[3] is not None]

    def latest(self, *, site: str | None = None, device: str | None = None) -> list[Reading]:
        """Return the latest reading of each series."""
        return [
            _reading(row) for row in self._all(questions.LATEST, {"site": site, "device": device})
        ]

    def fields(self) -> list[StoredField]:
        """Return the fields of all readings."""
        return [StoredField(*row) for row in self._all(questions.FIELDS)]

    def counts(self, start_ms: int, stop_ms: int) -> list[ReadingCount]:
        """Return how many readings each series has in a range of time."""
        found = self._all(questions.COUNT_READINGS, (start_ms, stop_ms))
        return [ReadingCount(*row) for row in found]

    def readings(
        self,
        selection: Selection,
        *,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> list[Reading]:
        """Return the selected readings in order of time."""

        def ask(piece: Selection, most: int) -> list[Group[Reading]]:
            rows = self._selected(piece, most, descending=descending)
            found = [_reading(row, piece.fields) for row in rows]
            return [Group(found, len(found) == most)]

        pager = Pager(ask, PLACE_OF_READING, selection, descending=descending, after=after)
        return pager.first(limit)

    def rows(
        self,
        selection: Selection,
        fields: Sequence[str],
        *,
        descending: bool = False,
        after: Position | None = None,
    ) -> Iterator[list[Row]]:
        """Yield all selected readings in order of time, page by page."""
        tell_identity = selection.fields is None

        def ask(piece: Selection, most: int) -> list[Group[Row]]:
            rows = self._selected(piece, most, descending=descending)
            found = [_table_row(row, fields, tell_identity=tell_identity) for row in rows]
            return [Group(found, len(found) == most)]

        pager = Pager(ask, PLACE_OF_ROW, selection, descending=descending, after=after)
        return pager.pages(rows_at_once(len(fields)), span_ms=FIRST_SPAN_MS)

    def aggregate(
        self,
        selection: Selection,
        *,
        every_ms: int,
        aggregate: Aggregate,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> Aggregated:
        """Return the selected readings, aggregated over intervals."""
        wanted = "1" if aggregate in ("count", "first", "last") else questions.NUMBERS
        percent = questions.PERCENTS.get(aggregate)
        expression = "value" if percent else questions.AGGREGATES[aggregate]
        template = questions.PERCENTILE if percent else questions.AGGREGATE
        order = "DESC" if descending else "ASC"
        query = template % {"wanted": wanted, "aggregate": expression, "order": order}
        left = resumed(selection, after, every_ms, descending=descending)
        given = _given(left, every_ms=every_ms, limit=limit, percent=percent or 0)
        given |= _behind(after)
        buckets: dict[tuple[str, str, str, int], dict[str, Value]] = {}
        for site, device, measurement, start_ms, field, kind, value, *_time in self._all(
            query, given
        ):
            values = buckets.setdefault((site, device, measurement, start_ms), {})
            values[field] = _typed(value, kind if aggregate in ("first", "last") else "real")
        return Aggregated([Bucket(*key, values) for key, values in buckets.items()], "raw")

    def sequence_counts(self) -> Iterator[SequenceCount]:
        """Yield the count and greatest number of each boot."""
        for row in self._all(questions.COUNTS):
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
        with self._connections.one() as connection:
            for row in connection.execute(questions.SEQUENCES, given):
                yield StoredSequence(*row)

    def close(self) -> None:
        """Close the connections that no call holds, and let none wait for the lock any more."""
        self._connections.close()

    def _insert(
        self, row_of: Callable[[sqlite3.Cursor, Given], _NewRow], given: Sequence[Given]
    ) -> list[Refused]:
        with self._connections.one() as connection:
            cursor = connection.cursor()
            self._connections.begin(cursor)
            if connection.file != self._known_in:
                self._forget()
                self._known_in = connection.file
            try:
                rows = [row_of(cursor, one) for one in given]
                refused = [
                    Refused(index, f"time {row[1]} is not a 64-bit number")
                    for index, row in enumerate(rows)
                    if not 0 <= row[1] <= MAX_INT64
                ]
                for one in reversed(refused):
                    del rows[one.index]
                cursor.executemany(questions.INSERT, rows)
                cursor.execute("COMMIT")
            except BaseException:
                self._forget()  # they may name what the rollback takes back
                if connection.in_transaction:
                    cursor.execute("ROLLBACK")
                raise
        return refused

    def _forget(self) -> None:
        """Forget which series and fields the file has."""
        self._series: dict[tuple[str, str, str], int] = {}
        self._fields: set[tuple[str, str, type]] = set()
        self._heads: dict[str, _Known] = {}
        self._types: set[tuple[str, Types]] = set()

    def _row_of_line(self, cursor: sqlite3.Cursor, line: bytes) -> _NewRow:
        text = line.decode()
        end = text.find(" ")
        known = self._heads.get(text[:end])
        if known is not None and known.shape is not None:
            found = known.shape.match(text, end)
            if found is not None:
                *values, boot_ms, seq, time_ms = found.groups()
                fields = known.shape.template % tuple(values)
                return known.series_id, int(time_ms), int(boot_ms), int(seq), fields
        return self._row_of_new_shape(cursor, text)

    def _row_of_new_shape(self, cursor: sqlite3.Cursor, text: str) -> _NewRow:
        """Return the row of a line that looks otherwise than the one before of its series."""
        plain = read_plain(text)
        known = self._heads.get(plain.head) if plain is not None else None
        if plain is None or known is None:
            (reading,) = parse_readings(f"{text}\n")
            row = self._row(cursor, reading)
            if plain is not None:
                self._heads[plain.head] = _Known(row[0], reading.measurement)
            return row
        if (known.measurement, plain.types) not in self._types:
            self._note_fields(cursor, known.measurement, plain.types)
            self._types.add((known.measurement, plain.types))
        if plain.boot_ms is not None and plain.seq is not None:
            self._heads[plain.head] = known._replace(shape=shape_of(plain.types))
        return known.series_id, plain.time_ms, plain.boot_ms, plain.seq, plain.fields

    def _row(self, cursor: sqlite3.Cursor, reading: Reading) -> _NewRow:
        series_id = self._series_id(cursor, (reading.site, reading.device, reading.measurement))
        types = ((name, value.__class__) for name, value in reading.values.items())
        self._note_fields(cursor, reading.measurement, types)
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

    def _note_fields(
        self, cursor: sqlite3.Cursor, measurement: str, types: Iterable[tuple[str, type]]
    ) -> None:
        for name, kind in types:
            field = (measurement, name, kind)
            if field not in self._fields:
                cursor.execute(questions.NEW_FIELD, (measurement, name, _FIELD_TYPES[kind]))
                self._fields.add(field)

    def _selected(self, selection: Selection, limit: int, *, descending: bool) -> list[tuple]:  # type: ignore[type-arg]
        query = questions.READINGS % ("DESC" if descending else "ASC")
        return self._all(query, _given(selection, limit=limit))

    def _all(self, query: str, given: dict[str, object] | tuple[object, ...] = ()) -> list[tuple]:  # type: ignore[type-arg]
        with self._connections.one() as connection, self._connections.deadline(connection):
            return connection.execute(query, given).fetchall()


def _given(selection: Selection, **more: int) -> dict[str, object]:
    given = msgspec.structs.asdict(selection)
    if selection.fields is not None:
        given["fields"] = msgspec.json.encode(selection.fields).decode()
    return {**given, **more}


def _behind(after: Position | None) -> dict[str, object]:
    time_ms, device, measurement, site = after or (None, None, None, None)
    return {
        "after_ms": time_ms,
        "after_device": device,
        "after_measurement": measurement,
        "after_site": site,
    }


def _table_row(row: tuple, fields: Sequence[str], *, tell_identity: bool) -> Row:  # type: ignore[type-arg]
    site, device, measurement, time_ms, values, boot_ms, seq = row
    value_of = _decode_fields(values).get
    identity = (boot_ms, seq) if tell_identity else (None, None)
    return (time_ms, site, device, measurement, *identity, *map(value_of, fields))


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
