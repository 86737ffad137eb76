"""Questions about devices, in Flux, because a device has several measurements.

InfluxQL answers a series for each measurement and cannot join them. Only what the storage itself
works out is asked of many devices: filters by constants, and a bare `last` or `aggregateWindow`.
"""

from stack.dashboards import BUCKET
from stack.dashboards.queries import Target, flux

SILENT_AFTER = "5m"
SEQUENCE_RANGE = "1h"
LOADTEST_SITE = "loadtest"
OF_SITE = 'r.site != "denyut" and r.site =~ /^(${site:regex})$/'
_OF_DEVICE = 'r.device == "${device}"'

_SEEN = (
    f'from(bucket: "{BUCKET}")',
    "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
    f"    |> filter(fn: (r) => {OF_SITE})",
    "    |> last()",
    '    |> keep(columns: ["site", "device", "_time"])',
    '    |> group(columns: ["site", "device"])',
    '    |> max(column: "_time")',
    "    |> map(fn: (r) => ({r with silent: if r._time < limit then 1 else 0}))",
)
_LIMIT = ('import "date"', "", f"limit = date.sub(d: {SILENT_AFTER}, from: v.timeRangeStop)", "")
_AGE_S = "float(v: int(v: v.timeRangeStop) - int(v: r._time)) / 1000000000.0"


def count_of(state: str) -> Target:
    """Ask how many devices are `silent`, or `reporting`, of those that reported in the range."""
    wanted = 1 if state == "silent" else 0
    return flux(
        *_LIMIT,
        *_SEEN,
        "    |> group()",
        f"    |> filter(fn: (r) => r.silent == {wanted})",
        '    |> count(column: "device")',
        f'    |> rename(columns: {{device: "{state}"}})',
    )


def all_devices() -> Target:
    """Ask for every device and the age of its last reading, the oldest first."""
    return flux(
        *_LIMIT,
        *_SEEN,
        "    |> group()",
        "    |> map(fn: (r) => ({"
        f'device: r.device, site: r.site, "last reading": r._time, age: {_AGE_S}}}))',
        '    |> sort(columns: ["age"], desc: true)',
    )


def by_site() -> Target:
    """Ask how many devices each site has, and how many of them are silent."""
    return flux(
        *_LIMIT,
        *_SEEN,
        '    |> group(columns: ["site"])',
        "    |> reduce(",
        "        identity: {devices: 0, silent: 0},",
        "        fn: (r, accumulator) => ({",
        "            devices: accumulator.devices + 1, silent: accumulator.silent + r.silent,",
        "        }),",
        "    )",
        "    |> group()",
    )


def ages() -> Target:
    """Ask for each device's seconds without a reading, a series each, as a rule wants them.

    Devices of a load test are left out: that they fall silent is the end of the test.
    """
    return flux(
        f'from(bucket: "{BUCKET}")',
        "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
        f'    |> filter(fn: (r) => r.site != "denyut" and r.site != "{LOADTEST_SITE}")',
        "    |> last()",
        '    |> keep(columns: ["site", "device", "_time"])',
        '    |> group(columns: ["site", "device"])',
        '    |> max(column: "_time")',
        f"    |> map(fn: (r) => ({{r with _value: {_AGE_S}}}))",
    )


def means_by_site() -> Target:
    """Ask for the mean of a field over the devices of each site.

    The bucket follows the range: readings up to six hours, minutes up to three days, hours beyond.
    """
    return flux(
        "hours = (int(v: v.timeRangeStop) - int(v: v.timeRangeStart)) / 3600000000000",
        f'bucket = if hours > 72 then "{BUCKET}_1h" '
        f'else if hours > 6 then "{BUCKET}_1m" else "{BUCKET}"',
        'field = if hours > 6 then "${field}.mean" else "${field}"',
        "every = if hours > 72 and int(v: v.windowPeriod) < int(v: 1h) then 1h else v.windowPeriod",
        "",
        "from(bucket: bucket)",
        "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
        '    |> filter(fn: (r) => r._measurement == "${measurement}" and r._field == field)',
        f"    |> filter(fn: (r) => {OF_SITE})",
        "    |> aggregateWindow(every: every, fn: mean, createEmpty: false)",
        '    |> group(columns: ["site"])',
        '    |> aggregateWindow(every: every, fn: mean, createEmpty: false, timeSrc: "_start")',
    )


def numeric_fields(where: str) -> str:
    """Return the Flux that names the fields that are numbers, as values of a variable."""
    return "\n".join(
        [
            'import "types"',
            "",
            f'from(bucket: "{BUCKET}")',
            "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
            f"    |> filter(fn: (r) => {where})",
            "    |> last()",
            '    |> filter(fn: (r) => types.isType(v: r._value, type: "float"))',
            '    |> keep(columns: ["_field"])',
            "    |> group()",
            '    |> distinct(column: "_field")',
        ]
    )


def last_values() -> Target:
    """Ask for the last value of every field of a device, whatever its type."""
    return flux(
        f'from(bucket: "{BUCKET}")',
        "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
        f'    |> filter(fn: (r) => {_OF_DEVICE} and r._field != "boot" and r._field != "seq")',
        "    |> last()",
        "    |> map(fn: (r) => ({measurement: r._measurement, field: r._field, "
        "value: string(v: r._value), time: r._time}))",
        "    |> group()",
        '    |> sort(columns: ["measurement", "field"])',
    )


def age() -> Target:
    """Ask how many seconds ago a device was last heard of."""
    return flux(
        f'from(bucket: "{BUCKET}")',
        "    |> range(start: v.timeRangeStart, stop: v.timeRangeStop)",
        f"    |> filter(fn: (r) => {_OF_DEVICE})",
        "    |> last()",
        '    |> keep(columns: ["_time"])',
        "    |> group()",
        '    |> max(column: "_time")',
        f"    |> map(fn: (r) => ({{age: {_AGE_S}}}))",
    )


def sequence() -> Target:
    """Ask how many readings of a device are stored and missing, boot by boot, in one hour."""
    return flux(
        'import "date"',
        "",
        f"hour = date.sub(d: {SEQUENCE_RANGE}, from: v.timeRangeStop)",
        "start = if v.timeRangeStart > hour then v.timeRangeStart else hour",
        "",
        f'from(bucket: "{BUCKET}")',
        "    |> range(start: start, stop: v.timeRangeStop)",
        f'    |> filter(fn: (r) => {_OF_DEVICE} and (r._field == "boot" or r._field == "seq"))',
        '    |> pivot(rowKey: ["_time", "_measurement"], columnKey: ["_field"], '
        'valueColumn: "_value")',
        '    |> group(columns: ["boot"])',
        "    |> reduce(",
        "        identity: {stored: 0, first: 9223372036854775807, last: 0},",
        "        fn: (r, accumulator) => ({",
        "            stored: accumulator.stored + 1,",
        "            first: if r.seq < accumulator.first then r.seq else accumulator.first,",
        "            last: if r.seq > accumulator.last then r.seq else accumulator.last,",
        "        }),",
        "    )",
        "    |> map(fn: (r) => ({stored: r.stored, missing: r.last - r.first + 1 - r.stored}))",
        "    |> group()",
        "    |> reduce(",
        "        identity: {stored: 0, missing: 0, boots: 0},",
        "        fn: (r, accumulator) => ({",
        "            stored: accumulator.stored + r.stored,",
        "            missing: accumulator.missing + r.missing,",
        "            boots: accumulator.boots + 1,",
        "        }),",
        "    )",
    )
