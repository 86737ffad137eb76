"""What came of a run: tables for people, on a terminal and as a page, and JSON for programs."""

import io
from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtest.objectives import Judged, Measured
from loadtest.results import PAGE, VERDICT

_PAGE_WIDTH = 100
_EXACT_BELOW_MS = 10


def write_verdict(judged: list[Judged], measured: Measured, folder: Path) -> None:
    """Leave the verdict in a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(judged), indent=2)
    (folder / VERDICT).write_bytes(data + b"\n")
    page = Console(file=io.StringIO(), record=True, width=_PAGE_WIDTH)
    _print(page, judged, measured)
    page.save_html(str(folder / PAGE))


def print_verdict(judged: list[Judged], measured: Measured, folder: Path) -> None:
    """Print the tables, and where more is to be found."""
    console = Console()
    _print(console, judged, measured)
    console.print(f"report, tables and verdict: {folder}/", soft_wrap=True, highlight=False)


def _print(console: Console, judged: list[Judged], measured: Measured) -> None:
    console.print(_operations(measured))
    console.print(_objectives(judged))
    missed = sum(not one.met for one in judged)
    word = "1 objective was missed" if missed == 1 else f"{missed} objectives were missed"
    console.print(word if missed else "every objective was met", highlight=False)


def _operations(measured: Measured) -> Table:
    table = Table("operation", box=SIMPLE_HEAD)
    for heading in ("requests", "failed", "per s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for one in sorted(measured.operations, key=lambda operation: operation.name):
        per_second = one.requests / measured.seconds if measured.seconds else 0.0
        counts = (f"{one.requests:,}", f"{one.failures:,}", f"{per_second:,.1f}")
        times = map(_milliseconds, (one.p50_ms, one.p95_ms, one.p99_ms))
        table.add_row(one.name, *counts, *times, style="bold red" if one.failures else "")
    return table


def _objectives(judged: list[Judged]) -> Table:
    table = Table("objective", "target", "result", "met", box=SIMPLE_HEAD)
    for one in judged:
        result = "not measured" if one.result is None else f"{one.result:g}"
        style = "" if one.met else "bold red"
        table.add_row(
            one.objective, f"{one.target:g}", result, "yes" if one.met else "no", style=style
        )
    return table


def _milliseconds(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:,.0f}" if ms >= _EXACT_BELOW_MS else f"{ms:.1f}"
