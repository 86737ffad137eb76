"""Rows of InfluxDB made into readings and buckets."""

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from telemetry.lineprotocol import parse_series_key
from telemetry.reading import Reading, Value
from telemetry.store import (
    Aggregate,
    Bucket,
    ReadingCount,
    Row,
    Selection,
    SequenceCount,
    StoredSequence,
)
from telemetry.store.influxdb.questions import Column
from telemetry.store.influxdb.session import FloatRows, Rows

_NOT_VALUES = ("time", "site", "device", "boot", "seq")

SERIES_COLUMNS = ["key"]  # of rows that name series

_MEASUREMENT_AT = 3  # in a row of a table

SeriesName = tuple[str, str, str]
"""Its site, device and measurement."""

_Place = tuple[int, str, str, str]
_Parts = dict[tuple[str, Aggregate], float]


def readings(rows: Rows) -> Iterator[Reading]:
    """Yield the reading of each row; columns beside values may be tags of the rows."""
    fields = [(at, name) for at, name in enumerate(rows.columns) if name not in _NOT_VALUES]
    at = {name: place for place, name in enumerate(rows.columns)}
    site_at, device_at = at.get("site"), at.get("device")
    boot_at, seq_at = at.get("boot"), at.get("seq")
    for row in rows.values:
        yield Reading(
            rows.tags.get("site", "") if site_at is None else row[site_at] or "",
            rows.tags.get("device", "") if device_at is None else row[device_at] or "",
            rows.name,
            row[0],
            {name: _value(row[place]) for place, name in fields if row[place] is not None},
            None if boot_at is None else row[boot_at],
            None if seq_at is None else row[seq_at],
        )


def series(rows: Rows) -> Iterator[SeriesName]:
    """Yield the site, device and measurement of each row that names a series."""
    for (key,) in rows.values:
        measurement, tags = parse_series_key(key)
        yield tags.get("site", ""), tags.get("device", ""), measurement


def series_of(reading: Reading) -> SeriesName:
    """Return which series a reading is of."""
    return reading.site, reading.device, reading.measurement


def table(rows: Rows, fields: Sequence[str]) -> list[Row]:
    """Return rows in the order of a table's columns, with None for what they have not."""
    # Behind each row stands what is the same for all of them, and what a missing column shows.
    same = [rows.name, *rows.tags.values(), None]
    at = {name: place for place, name in enumerate(rows.columns)}
    at |= {tag: len(rows.columns) + 1 + place for place, tag in enumerate(rows.tags)}
    nothing_at = len(rows.columns) + len(same) - 1
    places = [at.get(name, nothing_at) for name in ("time", "site", "device", "boot", "seq")]
    places.insert(_MEASUREMENT_AT, len(rows.columns))
    # A field may have any name that is left, `measurement` among them.
    ordered = itemgetter(*places, *(at.get(name, nothing_at) for name in fields))
    return [ordered(row + same) for row in rows.values]


def reading_counts(found: Iterable[Rows]) -> Iterator[ReadingCount]:
    """Yield how many readings each series has: as many as its most frequent field."""
    for rows in found:
        for _time, *counts in rows.values:
            count = max(one or 0 for one in counts)
            yield ReadingCount(rows.tags["site"], rows.tags["device"], rows.name, int(count))


def buckets(rows: FloatRows, columns: Sequence[Column], selection: Selection) -> Iterator[Bucket]:
    """Yield the bucket of each row; the columns stand behind the time, in their order."""
    names = [column.field for column in columns]
    site, device = _tags(rows, selection)
    found: list[list[Any]] = rows.values
    for start_ms, *row in found:
        values = dict(zip(names, row, strict=True))
        if None in row:
            values = {name: value for name, value in values.items() if value is not None}
        yield Bucket(site, device, rows.name, int(start_ms), values)


class Merging:
    """Buckets put together from several answers, as from readings and from their minutes."""

    def __init__(self, aggregate: Aggregate) -> None:
        self._aggregate = aggregate
        self._found: dict[_Place, _Parts] = {}

    def add(self, rows: FloatRows, columns: Sequence[Column], selection: Selection) -> None:
        """Take the parts in that the rows hold."""
        site, device = _tags(rows, selection)
        found: list[list[Any]] = rows.values
        for start_ms, *row in found:
            parts = self._found.setdefault((int(start_ms), device, rows.name, site), {})
            for column, value in zip(columns, row, strict=True):
                if value is not None:
                    _join(parts, (column.field, column.part), value)

    def buckets(self) -> Iterator[Bucket]:
        """Yield the whole buckets."""
        for (start_ms, device, measurement, site), parts in self._found.items():
            values: dict[str, Value] = {}
            for (field, part), value in parts.items():
                count = parts.get((field, "count"))
                if part == self._aggregate:
                    values[field] = value
                elif self._aggregate == "mean" and part == "sum" and count:
                    values[field] = value / count
            if values:
                yield Bucket(site, device, measurement, start_ms, values)


def sequences(rows: Rows) -> Iterator[StoredSequence]:
    """Yield the identity of each row that has one whole."""
    site, device = rows.tags["site"], rows.tags["device"]
    for time_ms, boot_ms, seq in rows.values:
        if boot_ms is not None and seq is not None:
            yield StoredSequence(site, device, rows.name, time_ms, boot_ms, seq)


def sequence_counts(
    device: str, boot_ms: int, found: Iterable[dict[str, Any]]
) -> Iterator[SequenceCount]:
    """Yield what is counted of a boot, added up over its measurements, if anything is."""
    counted = [row for row in found if row["count"]]
    if counted:
        count = sum(row["count"] for row in counted)
        yield SequenceCount(device, boot_ms, count, max(row["max"] for row in counted))


def mappings(found: Iterable[Rows]) -> list[dict[str, Any]]:
    """Return rows as dictionaries, their tags among the columns."""
    return [
        rows.tags | dict(zip(rows.columns, row, strict=True))
        for rows in found
        for row in rows.values
    ]


def _tags(rows: Rows, selection: Selection) -> tuple[str, str]:
    """Return site and device; what the question named is not in the answer again."""
    site = selection.site if selection.site is not None else rows.tags["site"]
    device = selection.device if selection.device is not None else rows.tags["device"]
    return site, device


def _join(parts: _Parts, key: tuple[str, Aggregate], value: float) -> None:
    earlier = parts.get(key)
    if earlier is None:
        parts[key] = float(value)
    elif key[1] in ("min", "max"):
        parts[key] = min(earlier, value) if key[1] == "min" else max(earlier, value)
    else:
        parts[key] = earlier + value


def _value(value: Any) -> Value:
    # Integers stand only in fields of somebody else's writing.
    found: Value = float(value) if value.__class__ is int else value
    return found
