"""Downsampling: the Flux that makes minutes out of readings, and hours out of minutes.

A bucket of minutes or hours holds, for each field of numbers, `{field}.mean .min .max .sum .count
.last`. Booleans and texts are left out: they have no mean. The hour is made from the minute's sum
and count, so that its mean is the readings' mean.

InfluxDB aggregates where the readings are stored only if a filter compares `_field` with constants
and each aggregate begins with a `from` of its own: ten times faster than behind a filter by type,
and in a quarter of the memory. So the names of the fields of numbers are looked up first, by their
last values; only names that are numbers in one measurement and something else in another are left
to a filter by type.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from telemetry.reading import Name

PARTS = ("mean", "min", "max", "sum", "count", "last")


class Window(Struct, frozen=True):
    """A time range as Flux takes it: two expressions, the second one excluded."""

    start: str
    stop: str


# Readings may come an hour late: a run makes again what they may belong to, and the ten minutes
# that may have passed since the run before. Hours follow when all their minutes are final.
MINUTES_WINDOW = Window(
    "date.truncate(t: date.sub(d: 70m, from: now()), unit: 1m)", "date.truncate(t: now(), unit: 1m)"
)
HOURS_WINDOW = Window(
    "date.truncate(t: date.sub(d: 2h, from: now()), unit: 1h)", "date.truncate(t: now(), unit: 1h)"
)


def minutes_task(bucket: Name) -> str:
    """Return the task that keeps the minutes of a bucket."""
    # Why not every minute: docs/decisions/0010-minutes-are-made-every-ten-minutes.md.
    option = f'option task = {{name: "{bucket}_1m", every: 10m, offset: 30s}}'
    return minutes(bucket, MINUTES_WINDOW, option)


def hours_task(bucket: Name) -> str:
    """Return the task that keeps the hours of a bucket."""
    option = f'option task = {{name: "{bucket}_1h", every: 1h, offset: 5m}}'
    return hours(bucket, HOURS_WINDOW, option)


def minutes(bucket: Name, window: Window, option: str = "") -> str:
    """Return the Flux that makes the minutes of a window; its answer is empty."""
    writes = "\n".join(
        f'{fields}() |> rollup(fn: {part}, part: "{part}") |> yield(name: "{fields} {part}")'
        for fields in ("numbers", "mixed")
        for part in PARTS
    )
    return f"""import "array"
import "date"
import "regexp"
import "strings"
import "types"

{option}
readings = () => from(bucket: "{bucket}")
    |> range(start: {window.start}, stop: {window.stop})
    |> filter(fn: (r) => r._field != "boot" and r._field != "seq")

names = (float) => readings()
    |> last()
    |> filter(fn: (r) => types.isType(v: r._value, type: "float") == float)
    |> keep(columns: ["_field"])
    |> group()
    |> distinct(column: "_field")
    |> findColumn(fn: (key) => true, column: "_value")

oneOf = (names) => regexp.compile(v: "^("
    + strings.joinStr(arr: array.map(arr: names, fn: (x) => regexp.quoteMeta(v: x)), v: "|")
    + ")$")

floats = oneOf(names: names(float: true))
others = oneOf(names: names(float: false))

numbers = () => readings()
    |> filter(fn: (r) => r._field =~ floats and r._field !~ others)
mixed = () => readings()
    |> filter(fn: (r) => r._field =~ floats and r._field =~ others)
    |> filter(fn: (r) => types.isType(v: r._value, type: "float"))

rollup = (tables=<-, fn, part) => tables
    |> aggregateWindow(every: 1m, fn: fn, createEmpty: false, timeSrc: "_start")
    |> map(fn: (r) => ({{r with _field: r._field + "." + part, _value: float(v: r._value)}}))
    |> to(bucket: "{bucket}_1m")
    |> filter(fn: (r) => false)

{writes}
"""


def hours(bucket: Name, window: Window, option: str = "") -> str:
    """Return the Flux that makes the hours of a window from its minutes; its answer is empty."""
    functions = {"min": "min", "max": "max", "sum": "sum", "count": "sum", "last": "last"}
    writes = "\n".join(
        f'part(ends: /\\.{part}$/, fn: {function}) |> write() |> yield(name: "{part}")'
        for part, function in functions.items()
    )
    return f"""import "date"
import "strings"

{option}
part = (ends, fn) => from(bucket: "{bucket}_1m")
    |> range(start: {window.start}, stop: {window.stop})
    |> filter(fn: (r) => r._field =~ ends)
    |> aggregateWindow(every: 1h, fn: fn, createEmpty: false, timeSrc: "_start")

bare = (tables=<-, name) => tables
    |> map(fn: (r) => ({{r with
        part: name, _field: strings.trimSuffix(v: r._field, suffix: "." + name)
    }}))

write = (tables=<-) => tables
    |> to(bucket: "{bucket}_1h")
    |> filter(fn: (r) => false)

{writes}

union(tables: [
    part(ends: /\\.sum$/, fn: sum) |> bare(name: "sum"),
    part(ends: /\\.count$/, fn: sum) |> bare(name: "count"),
])
    |> group(columns: ["_measurement", "site", "device", "_field"])
    |> pivot(rowKey: ["_time"], columnKey: ["part"], valueColumn: "_value")
    |> map(fn: (r) => ({{r with _field: r._field + ".mean", _value: r.sum / r.count}}))
    |> drop(columns: ["sum", "count"])
    |> write()
    |> yield(name: "mean")
"""


def hourly_windows(start: datetime, stop: datetime) -> Iterator[tuple[datetime, Window]]:
    """Yield the hours from the one that holds `start` to the one that holds `stop`."""
    begin = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    while begin < stop:
        end = begin + timedelta(hours=1)
        yield begin, Window(_flux_time(begin), _flux_time(end))
        begin = end


def _flux_time(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
