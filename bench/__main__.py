"""The measurements' command line: `make bench`, or `python -m bench --rows pipeline`."""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from bench import (
    broker,
    contest,
    delivery,
    generator,
    grafana,
    growth,
    holding,
    influxdb,
    loadtests,
    outbox,
    parts,
    pipeline,
    streams,
    tables,
)
from bench.machine import described
from bench.row import Measurement, Row, console
from stack import StackError
from stack.interrupts import stop_by_signals

IN_PAIRS: dict[str, Callable[[int], Iterator[Row]]] = {
    "ingest-cost": contest.cost,
    "ingest-full-rate": contest.full_rate,
    "ingest-packs": contest.packed,
    "ingest-latency": contest.latency,
    "ingest-devices": contest.devices,
    "ingest-two": contest.two_processes,
    "ingest-start": contest.start,
}

# Only where they are asked for by their name: with them a run would take an hour.
GROWTH: dict[str, Callable[[int], Iterator[Row]]] = {
    "growth-devices": growth.by_devices,
    "growth-fields": growth.by_fields,
    "growth-batch": growth.by_batch,
    "growth-window": growth.by_window,
    "growth-stored": holding.by_stored,
    "growth-memory": holding.memory,
}

BY_NAME: dict[str, Measurement] = {
    "grafana-panels": grafana.panels,
    "loadtest-mqtt-user": loadtests.mqtt_user,
    "loadtest-limit": loadtests.limit,
}

MEASUREMENTS: dict[str, Measurement] = {
    "pipeline-steady": pipeline.steady_rate,
    "sensors-connections": pipeline.many_connections,
    "sensors-disk-outbox": outbox.disk_outbox,
    "sensors-cost": generator.cost_against_paho,
    "sensors-lateness": generator.lateness,
    "sensors-ten-thousand": generator.ten_thousand,
    "broker-ceiling": broker.ceiling,
    "pipeline-parts": parts.cpu_by_part,
    "api-streams": streams.streams_and_requests,
    "influxdb-reading": influxdb.reading_through_the_api,
    "api-tables": tables.million_rows,
    "api-points": tables.chart,
    "influxdb-writing": influxdb.writing,
    "delivery-cost": delivery.cost_of_the_promise,
    "delivery-outage": delivery.outage,
}

application = typer.Typer(add_completion=False)


@application.command()
def run(
    rows: Annotated[str, typer.Option(help="only measurements whose name holds this text")] = "",
    pairs: Annotated[
        int, typer.Option(min=1, help="how often what is compared runs in turn; fewer to try")
    ] = 5,
    report: Annotated[Path, typer.Option(help="where the figures are left")] = Path(
        "build/bench.json"
    ),
) -> None:
    """Run the measurements one by one, and say which figures were reached."""
    measurements = {name: partial(one, pairs) for name, one in IN_PAIRS.items()} | MEASUREMENTS
    if rows:
        rounds = min(pairs, growth.ROUNDS)
        measurements |= {name: partial(one, rounds) for name, one in GROWTH.items()} | BY_NAME
    chosen = {name: one for name, one in measurements.items() if rows in name}
    if not chosen:
        print(f"no measurement is named like {rows!r}: {', '.join(measurements)}", file=sys.stderr)
        raise typer.Exit(2)
    console.print(described(), style="dim")
    measured: list[Row] = []
    all_began = time.monotonic()
    for name, measurement in chosen.items():
        began = time.monotonic()
        with console.status(f"measuring {name}"):
            measured.extend(_measured(name, measurement))
        console.print(f"{name}: {time.monotonic() - began:.0f} s", style="dim")
    console.print(f"in all: {time.monotonic() - all_began:.0f} s", style="dim")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
    console.print(_table(measured))


def _measured(name: str, measurement: Measurement) -> list[Row]:
    measured: list[Row] = []
    try:
        measured.extend(measurement())
    except StackError as error:
        # What was measured before it stays.
        console.print(f"{name}: {error}", style="bold red")
        measured.append(Row(name, None, None, None, "a run that counts", False, 0))
    return measured


def _table(rows: list[Row]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for heading in ("figure", "ours", "baseline", "ratio", "target", "reached"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    for row in rows:
        numbers = (
            "-" if one is None else f"{one:,.2f}" for one in (row.ours, row.baseline, row.ratio)
        )
        table.add_row(row.name, *numbers, row.target, "yes" if row.reached else "[red]no[/]")
    return table


def main() -> None:
    stop_by_signals()
    application()


if __name__ == "__main__":
    main()
