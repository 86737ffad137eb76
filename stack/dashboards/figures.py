"""Questions about the services' own figures, in InfluxQL.

Counters begin at 0 with each start of a process, so that only their rises are added up; several
processes of a service add up as well, but for what each of them tells of one and the same thing.
"""

from stack.dashboards.queries import Target, influxql

INGEST, API, SENSORS = "denyut_ingest", "denyut_api", "denyut_sensors"

Named = dict[str, str]
"""Fields by the names under which a panel shows them."""


def rise(measurement: str, where: str = "", **fields: str) -> Target:
    """Ask by how much counters rose in the range, over all processes."""
    inner = ", ".join(f'non_negative_difference("{one}") AS "{n}"' for n, one in fields.items())
    outer = ", ".join(f'sum("{name}") AS "{name}"' for name in fields)
    return influxql(
        f'SELECT {outer} FROM (SELECT {inner} FROM "{measurement}" '
        f'WHERE $timeFilter{where} GROUP BY "device")'
    )


def rates(measurement: str, fields: Named, where: str = "") -> list[Target]:
    """Ask by how much counters rise a second, over all processes.

    One by one: InfluxDB takes fifty times longer for six of them in one subquery.
    """
    return [
        _over_processes(
            measurement,
            f'sum("r") AS "{name}"',
            f'non_negative_derivative(last("{field}"), 1s) AS "r"',
            where,
        )
        for name, field in fields.items()
    ]


def gauges(measurement: str, fields: Named, where: str = "", *, of_one: bool = False) -> Target:
    """Ask for gauges, added up over processes; `of_one`: all tell of one thing, the most counts."""
    columns = {name: f"g{number}" for number, name in enumerate(fields)}
    inner = ", ".join(f'last("{one}") AS "{columns[name]}"' for name, one in fields.items())
    add = "max" if of_one else "sum"
    outer = ", ".join(f'{add}("{columns[name]}") AS "{name}"' for name in fields)
    return _over_processes(measurement, outer, inner, where)


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


def latest(measurement: str, name: str, *fields: str) -> Target:
    """Ask for the last value, fields added up, of what all processes tell of one thing."""
    added = " + ".join(f'max("{field}")' for field in fields)
    return influxql(
        f'SELECT last("g") AS "{name}" FROM (SELECT {added} AS "g" FROM "{measurement}" '
        "WHERE $timeFilter GROUP BY time(30s) fill(none))"
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
        f'(SELECT non_negative_difference("{field}") AS "s" FROM "{measurement}" '
        'WHERE $timeFilter GROUP BY "device") GROUP BY "device")'
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
