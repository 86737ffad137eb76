"""The audit's report for people: a table by QoS level, and the first findings by name."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from telemetry.audit import AuditReport, Finding, QosReport

_NAMED_ON_SCREEN = 10
_BAD = ("lost", "phantom", "duplicated", "moved", "overwritten")


def render(report: AuditReport) -> RenderableType:
    """Return the report as a table with its findings under it."""
    parts: list[RenderableType] = [_table(report)]
    for finding in report.findings[:_NAMED_ON_SCREEN]:
        parts.append(_line(finding))
    unnamed = _total(report) - min(len(report.findings), _NAMED_ON_SCREEN)
    if unnamed > 0:
        parts.append(Text(f"… and {unnamed:,} more", style="dim"))
    return Group(*parts)


def _table(report: AuditReport) -> Table:
    table = Table(title="Delivery by QoS level, in readings", title_justify="left")
    for heading in ("QoS", "offered", "acknowledged", "stored", *_BAD, "p50", "p95", "p99 ms"):
        table.add_column(heading, justify="right")
    for level, counts in report.by_qos.items():
        table.add_row(str(level), *_cells(level, counts))
    if report.unknown.phantom:
        table.add_row("?", *_cells(None, report.unknown))
    return table


def _cells(level: int | None, counts: QosReport) -> list[Text]:
    cells = [_number(counts.offered), _number(counts.acknowledged), _number(counts.stored)]
    for kind in _BAD:
        number = getattr(counts, kind)
        # At QoS 0 a loss is what was promised; elsewhere it is a broken promise.
        style = "" if not number else "yellow" if level == 0 and kind == "lost" else "bold red"
        cells.append(Text(f"{number:,}", style=style))
    latency = counts.latency_ms
    return cells + [_number(value) for value in (latency.p50, latency.p95, latency.p99)]


def _number(value: float | None) -> Text:
    return Text("-" if value is None else f"{value:,.0f}")


def _line(finding: Finding) -> Text:
    level = "?" if finding.qos is None else finding.qos
    return Text(
        f"{finding.kind}: {finding.device} {finding.measurement} seq {finding.seq}"
        f" (boot {finding.boot_ms}, time {finding.time_ms}, QoS {level})"
    )


def _total(report: AuditReport) -> int:
    levels = [*report.by_qos.values(), report.unknown]
    return sum(getattr(level, kind) for level in levels for kind in _BAD)
