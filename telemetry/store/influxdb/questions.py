"""The questions that are asked in InfluxQL: constant texts, every value bound beside them.

A bound integer time is in nanoseconds; intervals and measurement names are bound as `duration` and
`identifier`.
"""

from typing import Any

from msgspec import Struct

from telemetry.lineprotocol import NS_PER_MS
from telemetry.reading import Reading, Value
from telemetry.store import Aggregate, Bucket, Selection

_FUNCTIONS: dict[Aggregate, tuple[str, str]] = {
    "mean": ("mean(*)", "mean_"),
    "min": ("min(*)", "min_"),
    "max": ("max(*)", "max_"),
    "sum": ("sum(*)", "sum_"),
    "count": ("count(*)", "count_"),
    "first": ("first(*)", "first_"),
    "last": ("last(*)", "last_"),
    "p50": ("percentile(*, 50)", "percentile_"),
    "p90": ("percentile(*, 90)", "percentile_"),
    "p95": ("percentile(*, 95)", "percentile_"),
    "p99": ("percentile(*, 99)", "percentile_"),
}
_ROLLED_UP: dict[Aggregate, str] = {
    "mean": r"sum(/\.(sum|count)$/)",
    "min": r"min(/\.min$/)",
    "max": r"max(/\.max$/)",
    "sum": r"sum(/\.sum$/)",
}
# What is put in between the braces stands in this module: names of parameters, never their values.
_LATEST = "SELECT * FROM /.*/{where} GROUP BY site, device ORDER BY time DESC LIMIT 1"
_READINGS = "SELECT {columns} FROM {source}{where} ORDER BY time {order} LIMIT $limit"
_AGGREGATE = (
    "SELECT {chosen} FROM {source}{where}"
    " GROUP BY time($every), site, device fill(none) LIMIT $limit"
)
_NOT_VALUES = ("time", "site", "device", "boot", "seq")


class Question(Struct, frozen=True):
    """A statement and what is bound to its parameters."""

    statement: str
    bound: dict[str, object]


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
    chosen = _ROLLED_UP[aggregate] if rolled_up else _FUNCTIONS[aggregate][0]
    statement = _AGGREGATE.format(chosen=chosen, source=source, where=where)
    return Question(statement, bound | {"every": {"duration": f"{every_ms}ms"}, "limit": limit})


COUNTS = Question("SELECT count(seq), max(seq), min(boot), max(boot) FROM /.*/ GROUP BY device", {})
SEQUENCES = Question("SELECT boot, seq FROM /.*/ GROUP BY site, device", {})


def boots_question(device: str) -> Question:
    """Ask for the boots of a device."""
    return Question("SELECT distinct(boot) FROM /.*/ WHERE device = $device", {"device": device})


def boot_question(device: str, boot_ms: int) -> Question:
    """Ask for the count and the greatest sequence number of one boot."""
    statement = "SELECT count(seq), max(seq) FROM /.*/ WHERE device = $device AND boot = $boot"
    return Question(statement, {"device": device, "boot": boot_ms})


def rows(series: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of all series as dictionaries, their tags and measurement among them."""
    return [
        {"measurement": one["name"], **one.get("tags", {})}
        | dict(zip(one["columns"], values, strict=True))
        for one in series
        for values in one["values"]
    ]


def reading(row: dict[str, Any]) -> Reading:
    """Return the reading that a row of `SELECT *` holds."""
    measurement = row.pop("measurement")
    values = {
        name: _value(value)
        for name, value in row.items()
        if value is not None and name not in _NOT_VALUES
    }
    return Reading(
        row["site"],
        row["device"],
        measurement,
        row["time"],
        values,
        row.get("boot"),
        row.get("seq"),
    )


def bucket(
    row: dict[str, Any], aggregate: Aggregate, wanted: tuple[str, ...] | None = None
) -> Bucket:
    """Return the interval that a row of aggregated raw readings holds."""
    prefix = _FUNCTIONS[aggregate][1]
    values = {
        name.removeprefix(prefix): _value(value)
        for name, value in row.items()
        if value is not None and name.startswith(prefix)
    }
    values = {
        name: value
        for name, value in values.items()
        if name not in _NOT_VALUES and (wanted is None or name in wanted)
    }
    return Bucket(row["site"], row["device"], row["measurement"], row["time"], values)


def rolled_up_bucket(
    row: dict[str, Any], aggregate: Aggregate, wanted: tuple[str, ...] | None = None
) -> Bucket:
    """Return the interval that a row of aggregated minutes or hours holds."""
    function = "sum" if aggregate in ("mean", "sum") else aggregate
    found = {
        name.removeprefix(f"{function}_"): value
        for name, value in row.items()
        if value is not None and name.startswith(f"{function}_")
    }
    values: dict[str, Value] = {}
    for name, value in found.items():
        field, _, part = name.rpartition(".")
        if wanted is not None and field not in wanted:
            continue
        if aggregate == "mean" and part == "sum" and found.get(f"{field}.count"):
            values[field] = value / found[f"{field}.count"]
        elif aggregate != "mean" and part == aggregate:
            values[field] = float(value)
    return Bucket(row["site"], row["device"], row["measurement"], row["time"], values)


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


_LATEST_NS = 2**63 - 2  # InfluxDB's latest time, in 2262


def _where(wanted: dict[str, str | None]) -> tuple[str, dict[str, object]]:
    bound: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    where = " AND ".join(f"{name} = ${name}" for name in bound)
    return (f" WHERE {where}" if where else ""), bound


def _value(value: float | str) -> Value:
    # count() returns integers; all other numbers are floats already.
    return float(value) if type(value) is int else value
