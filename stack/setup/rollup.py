"""Downsampling: the Flux that makes minutes out of readings, and hours out of minutes.

A bucket of minutes or hours holds, for each field of numbers, `{field}.mean .min .max .sum .count
.last`. Booleans and texts are left out: they have no mean. The hour is made from the minute's sum
and count, so that its mean is the readings' mean.
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


# Readings may come late: what came in the last hour is made again at each run.
MINUTES_WINDOW = Window(
    "date.truncate(t: date.sub(d: 1h, from: now()), unit: 1m)", "date.truncate(t: now(), unit: 1m)"
)
HOURS_WINDOW = Window(
    "date.truncate(t: date.sub(d: 2h, from: now()), unit: 1h)", "date.truncate(t: now(), unit: 1h)"
)


def minutes_task(bucket: Name) -> str:
    """Return the task that keeps the minutes of a bucket."""
    # Each run reads an hour, so it does not run every minute; the store asks the raw readings
    # for what the minutes do not hold yet.
    option = f'option task = {{name: "{bucket}_1m", every: 10m, offset: 30s}}'
    return minutes(bucket, MINUTES_WINDOW, option)


def hours_task(bucket: Name) -> str:
    """Return the task that keeps the hours of a bucket."""
    option = f'option task = {{name: "{bucket}_1h", every: 1h, offset: 5m}}'
    return hours(bucket, HOURS_WINDOW, option)


def minutes(bucket: Name, window: Window, option: str = "") -> str:
    """Return the Flux that makes the minutes of a window."""
    writes = "\n".join(
        f'numbers |> rollup(fn: {part}, part: "{part}") |> yield(name: "{part}")' for part in PARTS
    )
    return f"""import "date"
import "types"

{option}
numbers = from(bucket: "{bucket}")
    |> range(start: {window.start}, stop: {window.stop})
    |> filter(fn: (r) => types.isType(v: r._value, type: "float"))

rollup = (tables=<-, fn, part) => tables
    |> aggregateWindow(every: 1m, fn: fn, createEmpty: false, timeSrc: "_start")
    |> map(fn: (r) => ({{r with _field: r._field + "." + part, _value: float(v: r._value)}}))
    |> to(bucket: "{bucket}_1m")

{writes}
"""


def hours(bucket: Name, window: Window, option: str = "") -> str:
    """Return the Flux that makes the hours of a window from its minutes."""
    functions = {"min": "min", "max": "max", "sum": "sum", "count": "sum", "last": "last"}
    writes = "\n".join(
        f'part(name: "{part}", fn: {function})'
        f' |> to(bucket: "{bucket}_1h") |> yield(name: "{part}")'
        for part, function in functions.items()
    )
    return f"""import "date"
import "strings"

{option}
minutes = from(bucket: "{bucket}_1m")
    |> range(start: {window.start}, stop: {window.stop})

part = (name, fn) => minutes
    |> filter(fn: (r) => strings.hasSuffix(v: r._field, suffix: "." + name))
    |> aggregateWindow(every: 1h, fn: fn, createEmpty: false, timeSrc: "_start")

bare = (tables=<-, name) => tables
    |> map(fn: (r) => ({{r with
        part: name, _field: strings.trimSuffix(v: r._field, suffix: "." + name)
    }}))

{writes}

union(tables: [
    part(name: "sum", fn: sum) |> bare(name: "sum"),
    part(name: "count", fn: sum) |> bare(name: "count"),
])
    |> group(columns: ["_measurement", "site", "device", "_field"])
    |> pivot(rowKey: ["_time"], columnKey: ["part"], valueColumn: "_value")
    |> map(fn: (r) => ({{r with _field: r._field + ".mean", _value: r.sum / r.count}}))
    |> drop(columns: ["sum", "count"])
    |> to(bucket: "{bucket}_1h")
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
