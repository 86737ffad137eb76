"""The comparison as tables on the screen, each narrow enough for a terminal of 80 characters."""

from collections.abc import Callable, Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.compare.figures import Compared, Cpu, Latency

_NOTHING = "-"
_UNKNOWN, _NO_CPU = Latency(None, None), Cpu(None, None, None)
Cell = Callable[[Compared], str | Text]


def print_table(compared: Sequence[Compared], console: Console) -> None:
    """Print how fast each way is and what it costs and loses, and why one was not measured."""
    for title, columns in _TABLES.items():
        table = Table(box=SIMPLE_HEAD, title=title, title_justify="left", padding=(0, 1, 0, 0))
        table.add_column("way", no_wrap=True)
        for heading in columns:
            justify = "left" if heading == "limited by" else "right"
            table.add_column(heading, justify=justify)  # type: ignore[arg-type]
        for one in compared:
            style = "red" if one.why or one.broke_its_promise else ""
            table.add_row(one.name, *(cell(one) for cell in columns.values()), style=style)
        console.print(table)
    for one in compared:
        if one.why:
            console.print(f"{one.name}: {one.why}", style="bold red", markup=False, highlight=False)


def _number(value: float | None, digits: int = 0) -> str:
    return _NOTHING if value is None else f"{value:,.{digits}f}"


def _lost(one: Compared, lost: int | None) -> Text:
    if lost is None:
        return Text(_NOTHING)
    style = "" if not lost else "bold red" if one.promised else "yellow"
    return Text(f"{lost:,}" if lost else "0", style=style)


def _order(one: Compared) -> str:
    return _NOTHING if one.ordered is None else "kept" if one.ordered else "not kept"


_FAST: Mapping[str, Cell] = {
    "readings/s": lambda one: _number(one.readings_per_second),
    "single": lambda one: _number(one.single_readings_per_second),
    "p50 ms": lambda one: _number((one.latency_ms or _UNKNOWN).p50),
    "p99 ms": lambda one: _number((one.latency_ms or _UNKNOWN).p99),
    "limited by": lambda one: (one.limited_by or _NOTHING).partition(":")[0],
}
_COSTS: Mapping[str, Cell] = {
    "sender": lambda one: _number((one.single_cpu_us or _NO_CPU).sender, 1),
    "between": lambda one: _number((one.single_cpu_us or _NO_CPU).between, 1),
    "ingest": lambda one: _number((one.single_cpu_us or _NO_CPU).ingest, 1),
    "bytes": lambda one: _number(one.bytes_per_reading),
    "killed": lambda one: _lost(one, one.lost_sigkill),
    "away": lambda one: _lost(one, one.lost_away),
    "order": _order,
}
_TABLES = {
    "Readings/s in packs, and one a payload; latency at 1,000 readings/s": _FAST,
    "CPU (µs) and bytes a reading; lost with ingest killed, and away for 10 s": _COSTS,
}
