"""The report of a run: what became of the readings, by QoS level."""

from pathlib import Path

import msgspec
from msgspec import Struct
from rich.table import Table

from sensors.counters import Counters
from sensors.fleet import Fleet
from sensors.fleetfile import QOS_LEVELS


class LevelReport(Struct, frozen=True):
    """One QoS level; every reading offered, taken over or copied is in one of the counts behind it.

    At QoS 0 `published` says how many were sent; at QoS 1 and 2 a reading ends as acknowledged,
    refused, dropped or unfinished (still in an outbox when the run ended); only what is damaged on
    disk is in none of them. `taken_over` is what an earlier process left there, `copies` what a
    fault sent a second time.
    """

    devices: int
    offered: int
    taken_over: int
    copies: int
    published: int
    acknowledged: int
    refused: int
    dropped: int
    unfinished: int
    republished: int


class LatenessReport(Struct, frozen=True):
    """How late this process itself was, in ms after the due times."""

    p50: int
    p99: int
    max: float
    late_readings: int


class Report(Struct, frozen=True):
    """A whole run; `seconds` is how long readings were made."""

    fleet: str
    devices: int
    seed: int
    boot_ms: int
    seconds: float
    by_qos: dict[str, LevelReport]
    connects: int
    lost_connections: int
    lateness_ms: LatenessReport


def make_report(
    fleet: Fleet, counters: Counters, *, unfinished: list[int], boot_ms: int, seconds: float
) -> Report:
    """Return the report; `unfinished` is indexed by QoS."""
    lateness = counters.lateness
    return Report(
        fleet.name,
        len(fleet.devices),
        fleet.seed,
        boot_ms,
        round(seconds, 3),
        {
            str(qos): LevelReport(
                devices=sum(device.qos == qos for device in fleet.devices),
                offered=counters.offered[qos],
                taken_over=counters.taken_over[qos],
                copies=counters.copies[qos],
                published=counters.published[qos],
                acknowledged=counters.acknowledged[qos],
                refused=counters.refused[qos],
                dropped=sum(counts[qos] for counts in counters.dropped.values()),
                unfinished=unfinished[qos],
                republished=counters.republished[qos],
            )
            for qos in QOS_LEVELS
        },
        counters.connects,
        counters.lost_connections,
        LatenessReport(
            lateness.percentile_ms(50),
            lateness.percentile_ms(99),
            round(lateness.most_ms, 1),
            lateness.late_readings,
        ),
    )


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def report_table(report: Report) -> Table:
    """Return a report as a table for people."""
    title = f"{report.fleet}: {report.devices} devices, {report.seconds:.1f} s"
    table = Table("readings", title=title)
    for qos in report.by_qos:
        table.add_column(f"QoS {qos}", justify="right")
    for name in LevelReport.__struct_fields__:
        table.add_row(name, *(f"{getattr(level, name):,}" for level in report.by_qos.values()))
    lateness = report.lateness_ms
    table.caption = (
        f"made p50 {lateness.p50} ms, p99 {lateness.p99} ms after they were due; "
        f"{report.lost_connections} connections lost"
    )
    return table
