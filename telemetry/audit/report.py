"""The audit's report for people: a table by QoS level, and the first findings by name."""

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from telemetry.audit import AuditReport, FaultReport, Finding, QosReport

_NAMED_ON_SCREEN = 10
_BAD = ("lost", "phantom", "duplicated", "moved", "overwritten")


def render(report: AuditReport) -> RenderableType:
    """Return the report as a table with its findings under it."""
    parts: list[RenderableType] = [_table(report)]
    if report.faults:
        parts.append(_faults(report))
    for finding in report.findings[:_NAMED_ON_SCREEN]:
        parts.append(_line(finding))
    unnamed = _total(report) - min(len(report.findings), _NAMED_ON_SCREEN)
    if unnamed > 0:
        parts.append(Text(f"… and {unnamed:,} more", style="dim"))
    return Group(*parts)


def _table(report: AuditReport) -> Table:
    # Levels as columns: it fits a terminal of 80 characters.
    levels = {f"QoS {qos}": counts for qos, counts in report.by_qos.items()}
    if report.unknown.phantom:
        levels["unknown"] = report.unknown
    table = Table(box=SIMPLE_HEAD, title="Delivery, in readings", title_justify="left")
    table.add_column("")
    for name in levels:
        table.add_column(name, justify="right", min_width=10)
    for kind in ("offered", "acknowledged", "refused", "dropped", "unfinished", "stored"):
        table.add_row(kind, *(_number(getattr(counts, kind)) for counts in levels.values()))
    for kind in _BAD:
        table.add_row(kind, *(_bad(kind, name, counts) for name, counts in levels.items()))
    for percentile in ("p50", "p95", "p99"):
        cells = (_number(getattr(one.latency_ms, percentile), " ms") for one in levels.values())
        table.add_row(f"latency {percentile}", *cells)
    return table


def _faults(report: AuditReport) -> Table:
    table = Table(box=SIMPLE_HEAD, title="Simulated faults", title_justify="left")
    table.add_column("")
    for name in FaultReport.__struct_fields__:
        table.add_column(name.replace("_", " "), justify="right")
    for name, counts in sorted(report.faults.items()):
        numbers = (getattr(counts, field) for field in FaultReport.__struct_fields__)
        table.add_row(name, *(_number(number) for number in numbers))
    return table


def _bad(kind: str, level: str, counts: QosReport) -> Text:
    number = getattr(counts, kind)
    # At QoS 0 a loss is what was promised; elsewhere it is a broken promise.
    is_allowed = level == "QoS 0" and kind == "lost"
    style = "dim" if not number else "yellow" if is_allowed else "bold red"
    return Text(f"{number:,}", style=style)


def _number(value: float | None, unit: str = "") -> Text:
    return Text("-", style="dim") if value is None else Text(f"{value:,.0f}{unit}")


def _line(finding: Finding) -> Text:
    level = "?" if finding.qos is None else finding.qos
    return Text(
        f"{finding.kind}: {finding.device} {finding.measurement} seq {finding.seq}"
        f" (boot {finding.boot_ms}, time {finding.time_ms}, QoS {level})"
    )


def _total(report: AuditReport) -> int:
    levels = [*report.by_qos.values(), report.unknown]
    return sum(getattr(level, kind) for level in levels for kind in _BAD)
