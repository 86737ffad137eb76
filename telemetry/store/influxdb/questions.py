"""The questions that are asked in InfluxQL: constant texts, every value bound beside them.

A bound integer time is in nanoseconds; intervals, measurements and fields are bound as `duration`
and `identifier`.
"""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from telemetry.lineprotocol import NS_PER_MS
from telemetry.store import Aggregate, Selection

_LATEST_NS = 2**63 - 2  # InfluxDB's latest time, in 2262

# What is put in between the braces stands in this module: names of parameters, never their values.
_LATEST = "SELECT * FROM {source}{where} GROUP BY site, device ORDER BY time DESC LIMIT 1"
_SERIES = "SHOW SERIES{where}"
_READINGS = "SELECT {columns} FROM {source}{where} ORDER BY time {order} LIMIT $limit"
_ROWS = "SELECT {columns} FROM {source}{where}{tags} ORDER BY time {order} LIMIT $limit"
_READING_COUNTS = "SELECT count(*) FROM {source}{where} GROUP BY site, device"
_AGGREGATE = (
    "SELECT {calls} FROM {source}{where} GROUP BY time($every){tags} fill(none)"
    " ORDER BY time {order} LIMIT $limit"
)
_EVERYTHING = ("/.*/",)
_SEQUENCES = "SELECT boot, seq FROM /.*/{where} GROUP BY site, device"
_ORDER = {True: "DESC", False: "ASC"}
_CALLS: dict[Aggregate, str] = {
    "mean": "mean({})",
    "min": "min({})",
    "max": "max({})",
    "sum": "sum({})",
    "count": "count({})",
    "first": "first({})",
    "last": "last({})",
    "p50": "percentile({}, 50)",
    "p90": "percentile({}, 90)",
    "p95": "percentile({}, 95)",
    "p99": "percentile({}, 99)",
}

Bound = dict[str, object]


class Question(Struct, frozen=True):
    """Statements and what is bound to their parameters."""

    statement: str
    bound: Bound


class Column(Struct, frozen=True):
    """An aggregated field of a question: how, the stored field, and whose and what it is a part of.

    `part` is the aggregate that the column adds to, where a bucket is put together from several.
    """

    aggregate: Aggregate
    stored: str
    field: str
    part: Aggregate


def latest_question(
    site: str | None, device: str | None, measurements: Iterable[str] | None = None
) -> Question:
    """Ask for the last reading of each series, however old: it is looked for in each day.

    Of all measurements at once a row has the fields of all of them. Where it is asked for many
    devices, `measurements` are named, and each is asked alone.
    """
    where, bound = _where({"site": site, "device": device})
    return _of_each(measurements, _LATEST, where, bound)


def latest_of_question(site: str | None, devices: Iterable[str]) -> Question:
    """Ask the same for the series of some devices."""
    where, bound = _where({"site": site})
    names = _bind_texts(bound, "device", devices)
    named = " OR ".join(f"device = {name}" for name in names)
    where = f"{where} AND ({named})" if where else f" WHERE {named}"
    return _of_each(None, _LATEST, where, bound)


def lately_question(
    site: str | None, device: str | None, start_ms: int, measurements: Iterable[str] | None = None
) -> Question:
    """Ask for all series, and for the last reading of each that has one since a time."""
    wanted = {"site": site, "device": device}
    of_series, _bound = _where(wanted)
    where, bound = _where(wanted, start_ms)
    asked = _of_each(measurements, _LATEST, where, bound)
    statements = [_SERIES.format(where=of_series), asked.statement]
    return Question("; ".join(filter(None, statements)), asked.bound)


def readings_question(selection: Selection, limit: int, *, descending: bool) -> Question:
    """Ask for readings in order of time."""
    where, bound = _selected(selection)
    names = _bind(bound, "field", selection.fields or ())
    columns = ", ".join(["site", "device", *names]) if names else "*"
    source = "/.*/"
    if selection.measurement is not None:
        (source,) = _bind(bound, "measurement", [selection.measurement])
    statement = _READINGS.format(
        columns=columns, source=source, where=where, order=_ORDER[descending]
    )
    return Question(statement, bound | {"limit": limit})


def rows_question(
    selection: Selection, columns: Mapping[str, Sequence[str]], limit: int, *, descending: bool
) -> Question:
    """Ask for tables of readings: a statement for each measurement, with its columns.

    Of one device the tags come once for all of its rows; of many they are columns, since a limit
    would otherwise be one for each series.
    """
    where, bound = _selected(selection)
    names = {name: "" for several in columns.values() for name in several}
    parameters = dict(zip(names, _bind(bound, "field", names), strict=True))
    columns_of_tags, tags = ["site", "device"], ""
    if selection.device is not None:
        columns_of_tags, tags = [], " GROUP BY site, device"
    statements = []
    for source, several in zip(_bind(bound, "measurement", columns), columns.values(), strict=True):
        chosen = ", ".join([*columns_of_tags, *(parameters[name] for name in several)])
        order = _ORDER[descending]
        statements.append(
            _ROWS.format(columns=chosen, source=source, where=where, tags=tags, order=order)
        )
    return Question("; ".join(statements), bound | {"limit": limit})


def counts_question(start_ms: int, stop_ms: int, measurements: Iterable[str]) -> Question:
    """Ask how many values each field of each series has in a range of time."""
    where, bound = _where({}, start_ms, stop_ms)
    return _of_each(measurements, _READING_COUNTS, where, bound)


def aggregate_question(
    selection: Selection,
    columns: Mapping[str, Sequence[Column]],
    every_ms: int,
    limit: int,
    *,
    descending: bool = False,
) -> Question:
    """Ask for aggregates over intervals: a statement for each measurement, with its columns."""
    where, bound = _selected(selection)
    bound |= {"every": {"duration": f"{every_ms}ms"}, "limit": limit}
    tags = "".join(f", {tag}" for tag in ("site", "device") if tag not in bound)
    fields = {one.stored: "" for several in columns.values() for one in several}
    parameters = dict(zip(fields, _bind(bound, "field", fields), strict=True))
    statements = []
    for source, several in zip(_bind(bound, "measurement", columns), columns.values(), strict=True):
        calls = ", ".join(_CALLS[one.aggregate].format(parameters[one.stored]) for one in several)
        statements.append(
            _AGGREGATE.format(
                calls=calls, source=source, where=where, tags=tags, order=_ORDER[descending]
            )
        )
    return Question("; ".join(statements), bound)


COUNTS = Question(
    "SELECT count(seq), max(seq), count(boot), min(boot), max(boot) FROM /.*/ GROUP BY device", {}
)


def boots_question(device: str) -> Question:
    """Ask for the boots of a device."""
    return Question("SELECT distinct(boot) FROM /.*/ WHERE device = $device", {"device": device})


def boot_question(device: str, boot_ms: int) -> Question:
    """Ask for the count and the greatest sequence number of one boot."""
    statement = "SELECT count(seq), max(seq) FROM /.*/ WHERE device = $device AND boot = $boot"
    return Question(statement, {"device": device, "boot": boot_ms})


def sequences_question(device: str | None, start_ms: int | None, stop_ms: int | None) -> Question:
    """Ask for the identities of readings, by series."""
    where, bound = _where({"device": device}, start_ms, stop_ms)
    return Question(_SEQUENCES.format(where=where), bound)


def _of_each(
    measurements: Iterable[str] | None, statement: str, where: str, bound: Bound
) -> Question:
    """Ask a statement of each measurement, or of all at once where none are named."""
    named = None if measurements is None else _bind(bound, "measurement", measurements)
    sources = _EVERYTHING if named is None else named
    statements = [statement.format(source=source, where=where) for source in sources]
    return Question("; ".join(statements), bound)


def _selected(selection: Selection) -> tuple[str, Bound]:
    wanted = {"site": selection.site, "device": selection.device}
    where, bound = _where(wanted, selection.start_ms, selection.stop_ms)
    if selection.except_site is not None:
        where += " AND site != $except_site"
        bound["except_site"] = selection.except_site
    return where, bound


def _where(
    wanted: dict[str, str | None], start_ms: int | None = None, stop_ms: int | None = None
) -> tuple[str, Bound]:
    bound: Bound = {name: value for name, value in wanted.items() if value is not None}
    conditions = [f"{name} = ${name}" for name in bound]
    for name, operator, time_ms in (("start", ">=", start_ms), ("stop", "<", stop_ms)):
        if time_ms is not None:
            conditions.append(f"time {operator} ${name}")
            bound[name] = min(time_ms * NS_PER_MS, _LATEST_NS)
    return (f" WHERE {' AND '.join(conditions)}" if conditions else ""), bound


def _bind(bound: Bound, kind: str, names: Iterable[str]) -> list[str]:
    """Bind names of fields or measurements; return their parameters."""
    parameters = []
    for number, name in enumerate(names):
        bound[f"{kind}{number}"] = {"identifier": name}
        parameters.append(f"${kind}{number}")
    return parameters


def _bind_texts(bound: Bound, kind: str, texts: Iterable[str]) -> list[str]:
    """Bind texts; return their parameters."""
    parameters = {f"{kind}{number}": text for number, text in enumerate(texts)}
    bound |= parameters
    return [f"${name}" for name in parameters]
