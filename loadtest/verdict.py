"""What came of a run: tables for people, and `verdict.json` for programs."""

from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtest.objectives import Judged, Measured

FILE = "verdict.json"
_EXACT_BELOW_MS = 10


def write_verdict(judged: list[Judged], folder: Path) -> None:
    """Leave the verdict in a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(judged), indent=2)
    (folder / FILE).write_bytes(data + b"\n")


def print_operations(measured: Measured) -> None:
    """Print what was done of each operation, and how long it took."""
    table = Table("operation", box=SIMPLE_HEAD)
    for heading in ("requests", "failed", "per s", "p50 ms", "p95 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    for one in sorted(measured.operations, key=lambda operation: operation.name):
        times_ms = map(_text, (one.p50_ms, one.p95_ms, one.p99_ms))
        per_second = one.requests / measured.seconds if measured.seconds else 0.0
        style = "bold red" if one.failures else ""
        counts = (f"{one.requests:,}", f"{one.failures:,}", f"{per_second:,.1f}")
        table.add_row(one.name, *counts, *times_ms, style=style)
    Console().print(table)


def print_verdict(judged: list[Judged], folder: Path) -> None:
    """Print the table, and where more is to be found."""
    table = Table("objective", "target", "result", "met", box=SIMPLE_HEAD)
    for one in judged:
        result = "not measured" if one.result is None else f"{one.result:g}"
        style = "" if one.met else "bold red"
        table.add_row(
            one.objective, f"{one.target:g}", result, "yes" if one.met else "no", style=style
        )
    console = Console()
    console.print(table)
    missed = sum(not one.met for one in judged)
    word = f"{missed} objectives missed" if missed else "every objective was met"
    console.print(f"{word}; report, tables and verdict: {folder}/", soft_wrap=True, highlight=False)


def _text(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:,.0f}" if ms >= _EXACT_BELOW_MS else f"{ms:.1f}"
