"""The questions that are asked in InfluxQL: constant texts, every value bound beside them.

A bound integer time is in nanoseconds; intervals and measurement names are bound as `duration` and
`identifier`.
"""

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from telemetry.lineprotocol import NS_PER_MS
from telemetry.reading import Reading, Value
from telemetry.store import Aggregate, Bucket, Selection
from telemetry.store.influxdb.session import Rows

# Every field but `boot` and `seq`: they are no measured values, and cost as much as these. RE2 has
# no way to say "all but", so it is spelled out, letter by letter.
VALUE_FIELDS = "[^bs].*|b(o(o(t.+|[^t].*)?|[^o].*)?|[^o].*)?|s(e(q.+|[^q].*)?|[^e].*)?"

_FUNCTIONS: dict[Aggregate, tuple[str, str]] = {
    "mean": ("mean($fields)", "mean_"),
    "min": ("min($fields)", "min_"),
    "max": ("max($fields)", "max_"),
    "sum": ("sum($fields)", "sum_"),
    "count": ("count($fields)", "count_"),
    "first": ("first($fields)", "first_"),
    "last": ("last($fields)", "last_"),
    "p50": ("percentile($fields, 50)", "percentile_"),
    "p90": ("percentile($fields, 90)", "percentile_"),
    "p95": ("percentile($fields, 95)", "percentile_"),
    "p99": ("percentile($fields, 99)", "percentile_"),
}
_ROLLED_UP: dict[Aggregate, tuple[str, str]] = {
    "mean": ("sum($fields)", r"\.(sum|count)"),
    "min": ("min($fields)", r"\.min"),
    "max": ("max($fields)", r"\.max"),
    "sum": ("sum($fields)", r"\.sum"),
}
# What is put in between the braces stands in this module: names of parameters, never their values.
_LATEST = "SELECT * FROM /.*/{where} GROUP BY site, device ORDER BY time DESC LIMIT 1"
_READINGS = "SELECT {columns} FROM {source}{where} ORDER BY time {order} LIMIT $limit"
_AGGREGATE = (
    "SELECT {chosen} FROM {source}{where}"
    " GROUP BY time($every), site, device fill(none) LIMIT $limit"
)
_SEQUENCES = "SELECT boot, seq FROM {source}{where} GROUP BY site, device"
_NOT_VALUES = frozenset({"time", "site", "device", "boot", "seq"})
_LATEST_NS = 2**63 - 2  # InfluxDB's latest time, in 2262


class Question(Struct, frozen=True):
    """A statement and what is bound to its parameters."""

    statement: str
    bound: dict[str, object]


COUNTS = Question("SELECT count(seq), max(seq), min(boot), max(boot) FROM /.*/ GROUP BY device", {})


def latest_question(site: str | None, device: str | None) -> Question:
    """Ask for the last reading of each series."""
    where, bound = _where({"site": site, "device": device})
    statement = _LATEST.format(where=where)
    return Question(statement, bound)


def readings_question(selection: Selection, limit: int, *, descending: bool) -> Question:
    """Ask for readings in order of time."""
    source, where, bound = _selected(selection)
    columns = ", ".join(["site", "device", *_fields(selection, bound)]) if selection.fields else "*"
    order = "DESC" if descending else "ASC"
    statement = _READINGS.format(columns=columns, source=source, where=where, order=order)
    return Question(statement, bound | {"limit": limit})


def aggregate_question(
    selection: Selection, every_ms: int, aggregate: Aggregate, limit: int, *, rolled_up: bool
) -> Question:
    """Ask for the aggregates of raw readings, or of what is rolled up in minutes or hours."""
    source, where, bound = _selected(selection)
    chosen, suffix = _ROLLED_UP[aggregate] if rolled_up else (_FUNCTIONS[aggregate][0], "")
    bound |= {
        "fields": {"regex": f"^({_pattern(selection.fields)}){suffix}$"},
        "every": {"duration": f"{every_ms}ms"},
        "limit": limit,
    }
    return Question(_AGGREGATE.format(chosen=chosen, source=source, where=where), bound)


def sequences_question(selection: Selection) -> Question:
    """Ask for the identities of readings."""
    source, where, bound = _selected(selection)
    return Question(_SEQUENCES.format(source=source, where=where), bound)


def boots_question(device: str) -> Question:
    """Ask for the boots of a device."""
    return Question("SELECT distinct(boot) FROM /.*/ WHERE device = $device", {"device": device})


def boot_question(device: str, boot_ms: int) -> Question:
    """Ask for the count and the greatest sequence number of one boot."""
    statement = "SELECT count(seq), max(seq) FROM /.*/ WHERE device = $device AND boot = $boot"
    return Question(statement, {"device": device, "boot": boot_ms})


def dictionaries(found: Rows) -> Iterator[dict[str, Any]]:
    """Yield rows of numbers by the names of their columns, their tags among them."""
    for values in found.values:
        yield found.tags | dict(zip(found.columns, values, strict=True))


def readings(found: Rows) -> Iterator[Reading]:
    """Yield the readings that rows of `SELECT *`, or of some fields, hold."""
    place = {name: number for number, name in enumerate(found.columns)}
    named = [(name, number) for name, number in place.items() if name not in _NOT_VALUES]
    site, device, boot, seq = (place.get(name) for name in ("site", "device", "boot", "seq"))
    for row in found.values:
        yield Reading(
            found.tags["site"] if site is None else row[site],
            found.tags["device"] if device is None else row[device],
            found.name,
            row[place["time"]],
            {name: row[number] for name, number in named if row[number] is not None},
            None if boot is None else row[boot],
            None if seq is None else row[seq],
        )


def buckets(found: Rows, aggregate: Aggregate) -> Iterator[Bucket]:
    """Yield the intervals that rows of aggregated raw readings hold."""
    site, device, measurement = found.tags["site"], found.tags["device"], found.name
    prefix = _FUNCTIONS[aggregate][1]
    named = [(name.removeprefix(prefix), number) for number, name in enumerate(found.columns)][1:]
    # count() returns integers; all other numbers are floats already.
    convert = float if aggregate == "count" else _as_it_is
    for row in found.values:
        values = {name: convert(row[number]) for name, number in named if row[number] is not None}
        yield Bucket(site, device, measurement, row[0], values)


def rolled_up_buckets(found: Rows, aggregate: Aggregate) -> Iterator[Bucket]:
    """Yield the intervals that rows of aggregated minutes or hours hold."""
    site, device, measurement = found.tags["site"], found.tags["device"], found.name
    prefix = "sum_" if aggregate in ("mean", "sum") else f"{aggregate}_"
    columns = {
        tuple(name.removeprefix(prefix).rsplit(".", 1)): number
        for number, name in enumerate(found.columns)
        if name.startswith(prefix)
    }
    part = "sum" if aggregate == "mean" else aggregate
    named = [
        (field, number, columns.get((field, "count")))
        for (field, its_part), number in columns.items()
        if its_part == part
    ]
    for row in found.values:
        values: dict[str, Value] = {}
        for field, number, count in named:
            if row[number] is not None:
                divisor = row[count] if aggregate == "mean" and count is not None else 1
                values[field] = float(row[number] / divisor)
        yield Bucket(site, device, measurement, row[0], values)


def _selected(selection: Selection) -> tuple[str, str, dict[str, object]]:
    where, bound = _where({"site": selection.site, "device": selection.device})
    if selection.except_site is not None:
        where += (" AND" if where else " WHERE") + " site != $except_site"
        bound["except_site"] = selection.except_site
    bound["start"] = selection.start_ms * NS_PER_MS
    bound["stop"] = min(selection.stop_ms * NS_PER_MS, _LATEST_NS)
    where += (" AND" if where else " WHERE") + " time >= $start AND time < $stop"
    if selection.measurement is None:
        return "/.*/", where, bound
    bound["measurement"] = {"identifier": selection.measurement}
    return "$measurement", where, bound


def _fields(selection: Selection, bound: dict[str, object]) -> list[str]:
    """Bind the names of the wanted fields; return their parameters."""
    names = [f"field{number}" for number in range(len(selection.fields or ()))]
    for name, wanted in zip(names, selection.fields or (), strict=True):
        bound[name] = {"identifier": wanted}
    return [f"${name}" for name in names]


def _pattern(fields: tuple[str, ...] | None) -> str:
    """Return the regular expression that the wanted fields' names match."""
    return VALUE_FIELDS if fields is None else "|".join(re.escape(name) for name in fields)


def _where(wanted: dict[str, str | None]) -> tuple[str, dict[str, object]]:
    bound: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    where = " AND ".join(f"{name} = ${name}" for name in bound)
    return (f" WHERE {where}" if where else ""), bound


def _as_it_is(value: Value) -> Value:
    return value
