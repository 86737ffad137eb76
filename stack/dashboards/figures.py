"""Questions about the services' own figures, in InfluxQL.

Counters begin at 0 with each start of a process, so that only their rises are added up; several
processes of a service add up as well, but for what each of them tells of one and the same thing.

Each field is asked by itself: for three of them in one subquery InfluxDB takes ten times as long.
"""

from stack.dashboards.queries import Target, influxql

INGEST, API, SENSORS = "denyut_ingest", "denyut_api", "denyut_sensors"
LOADTEST = "denyut_loadtest"

Named = dict[str, str]
"""Fields by the names under which a panel shows them."""


def rise(measurement: str, fields: Named, where: str = "") -> list[Target]:
    """Ask by how much counters rose, over all processes, from the range's first interval on."""
    return [
        influxql(
            f'SELECT sum("d") AS "{name}" FROM (SELECT non_negative_difference(last("{field}")) '
            f'AS "d" FROM "{measurement}" WHERE $timeFilter{where} '
            'GROUP BY time($__interval), "device" fill(none))'
        )
        for name, field in fields.items()
    ]


def rates(measurement: str, fields: Named, where: str = "") -> list[Target]:
    """Ask by how much counters rise a second, over all processes."""
    call = 'non_negative_derivative(last("{}"), 1s)'
    return [
        _over_processes(measurement, f'sum("r") AS "{name}"', f'{call.format(one)} AS "r"', where)
        for name, one in fields.items()
    ]


def gauges(
    measurement: str, fields: Named, where: str = "", *, of_one: bool = False
) -> list[Target]:
    """Ask for gauges, added up over processes; `of_one`: all tell of one thing, the most counts."""
    add = "max" if of_one else "sum"
    return [
        _over_processes(measurement, f'{add}("g") AS "{name}"', f'last("{one}") AS "g"', where)
        for name, one in fields.items()
    ]


def ratio(
    measurement: str, name: str, above: list[str], below: list[str], where: str = ""
) -> Target:
    """Ask how much counters rose for each one by which others rose."""
    inner, outer = _ratio_of(above, below, 'non_negative_difference(last("{}"))')
    return _over_processes(measurement, f'{outer} AS "{name}"', inner, where)


def share(measurement: str, name: str, above: list[str], below: list[str]) -> Target:
    """Ask the same of the whole range at once."""
    inner, outer = _ratio_of(above, below, 'non_negative_difference("{}")')
    return influxql(
        f'SELECT {outer} AS "{name}" FROM (SELECT {inner} FROM "{measurement}" '
        'WHERE $timeFilter GROUP BY "device")'
    )


def now(measurement: str, name: str, field: str) -> Target:
    """Ask for the last value of a gauge, added up over processes."""
    return influxql(
        f'SELECT sum("g") AS "{name}" FROM (SELECT last("{field}") AS "g" FROM "{measurement}" '
        'WHERE $timeFilter GROUP BY "device")'
    )


def most_risen(measurement: str, name: str, field: str) -> Target:
    """Ask how much a counter rose that all processes keep of one and the same thing."""
    return influxql(
        f'SELECT max("d") AS "{name}" FROM (SELECT sum("s") AS "d" FROM '
        f'(SELECT non_negative_difference(last("{field}")) AS "s" FROM "{measurement}" '
        'WHERE $timeFilter GROUP BY time($__interval), "device" fill(none)) GROUP BY "device")'
    )


def _over_processes(measurement: str, outer: str, inner: str, where: str) -> Target:
    return influxql(
        f'SELECT {outer} FROM (SELECT {inner} FROM "{measurement}" WHERE $timeFilter{where} '
        'GROUP BY time($__interval), "device" fill(none)) '
        "WHERE $timeFilter GROUP BY time($__interval) fill(none)"
    )


def _ratio_of(above: list[str], below: list[str], rise_of: str) -> tuple[str, str]:
    """Return the columns of a subquery, and what is made of them."""
    fields = [*above, *below]
    inner = ", ".join(f'{rise_of.format(field)} AS "f{n}"' for n, field in enumerate(fields))
    sums = [f'sum("f{number}")' for number in range(len(fields))]
    return inner, f"({' + '.join(sums[: len(above)])}) / ({' + '.join(sums[len(above) :])})"
