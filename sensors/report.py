"""The report of a run: what became of the readings, by QoS level."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.table import Table

from sensors.counters import LATE_MS, Counters, Lateness
from sensors.fleet import Fleet
from sensors.fleetfile import QOS_LEVELS
from sensors.generator import StageReport
from sensors.objectives import Figures, Verdict, judge


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
    """How late something was, in ms: readings after their due times, answers after publishing."""

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
    acknowledgement_ms: dict[str, LatenessReport] = {}
    stages: list[StageReport] = []
    faults: dict[str, int] = {}
    missed: int = 0
    """Readings that were due and never made, because this process could not keep up."""
    void: str | None = None
    """Why the run says nothing of what it was to measure, if that is so."""
    verdicts: list[Verdict] = []

    @property
    def exit_code(self) -> int:
        """0; 1 where an objective was missed; 3 where the run is void."""
        if self.void is not None:
            return 3
        return 0 if all(verdict.met for verdict in self.verdicts) else 1


def make_report(
    fleet: Fleet,
    counters: Counters,
    *,
    unfinished: list[int],
    boot_ms: int,
    seconds: float,
    stages: list[StageReport],
    missed: int,
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
        _lateness(lateness),
        {str(qos): _lateness(waits) for qos, waits in counters.acknowledgements.items()},
        stages,
        dict(sorted(counters.strikes.items())),
        missed,
        _void(fleet, counters, missed),
        list(judge(fleet.objectives, _figures(counters, seconds, missed))),
    )


def _lateness(lateness: Lateness) -> LatenessReport:
    return LatenessReport(
        lateness.percentile_ms(50),
        lateness.percentile_ms(99),
        round(lateness.most_ms, 1),
        lateness.late_readings,
    )


def _void(fleet: Fleet, counters: Counters, missed: int) -> str | None:
    plan, lateness = fleet.run, counters.lateness
    if not counters.connects and any(counters.offered):
        failures = [
            f"{reason} {count:,}" for reason, count in counters.connect_failures.items() if count
        ]
        return f"no device ever had a connection; attempts: {', '.join(failures) or 'none'}"
    due = lateness.readings + missed
    late = lateness.later_than(plan.late_ms) + missed
    if not due or late / due <= plan.late_share:
        return None
    return (
        f"{late / due:.1%} of the readings were due and left over {plan.late_ms:g} ms late or not "
        f"at all, because this process could not keep up; {plan.late_share:.1%} are allowed"
    )


def _figures(counters: Counters, seconds: float, missed: int) -> Figures:
    offered = sum(counters.offered[1:])
    waits = [one for one in counters.acknowledgements.values() if one.readings]
    lateness = counters.lateness
    due = max(lateness.readings + missed, 1)
    return Figures(
        acknowledged_share=sum(counters.acknowledged) / offered if offered else None,
        acknowledgement_p99_ms=max((one.percentile_ms(99) for one in waits), default=None),
        readings_per_s=sum(counters.offered) / seconds if seconds else 0.0,
        late_share=(lateness.late_readings + missed) / due,
        lateness_p99_ms=lateness.percentile_ms(99),
        dropped=sum(map(sum, counters.dropped.values())),
        refused=sum(counters.refused),
        lost_connections=counters.lost_connections,
    )


def write_report(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")


def report_table(report: Report) -> RenderableType:
    """Return a report as tables for people."""
    title = f"{report.fleet}: {report.devices} devices, {report.seconds:.1f} s"
    table = Table("readings", title=title)
    for qos in report.by_qos:
        table.add_column(f"QoS {qos}", justify="right")
    for name in LevelReport.__struct_fields__:
        table.add_row(name, *(f"{getattr(level, name):,}" for level in report.by_qos.values()))
    waits = {
        qos: report.acknowledgement_ms.get(qos) if level.acknowledged else None
        for qos, level in report.by_qos.items()
    }
    for percentile in ("p50", "p99"):
        cells = ("-" if one is None else f"{getattr(one, percentile)} ms" for one in waits.values())
        table.add_row(f"acknowledged after {percentile}", *cells)
    lateness = report.lateness_ms
    table.caption = (
        f"made p50 {lateness.p50} ms, p99 {lateness.p99} ms after they were due, "
        f"{lateness.late_readings:,} over {LATE_MS} ms; "
        f"{report.lost_connections} connections lost"
    )
    parts: list[RenderableType] = [table]
    if report.stages:
        parts.append(_rows("stage", report.stages, StageReport))
    if report.faults:
        parts.append("faults: " + ", ".join(f"{name} {n:,}" for name, n in report.faults.items()))
    if report.verdicts:
        parts.append(_rows("objective", report.verdicts, Verdict))
    if report.void is not None:
        parts.append(f"[bold red]void: {report.void}[/]")
    return Group(*parts)


def _rows(
    title: str, rows: Sequence[StageReport | Verdict], kind: type[StageReport | Verdict]
) -> Table:
    table = Table(title=f"{title}s")
    for name in kind.__struct_fields__:
        table.add_column(name, justify="left" if name in ("name", "objective") else "right")
    for row in rows:
        table.add_row(*(_cell(getattr(row, name)) for name in kind.__struct_fields__))
    return table


def _cell(value: object) -> str:
    if value is None:
        return "not measured"
    if isinstance(value, bool):
        return "yes" if value else "[bold red]no[/]"
    return f"{value:,}" if isinstance(value, int | float) else str(value)
