"""The verdict on a run: on the terminal and as a page for people, as JSON for programs."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import rich.table
from rich.box import SIMPLE_HEAD
from rich.console import Console

from loadtest.objectives import Judged, Measured
from loadtest.results import PAGE, VERDICT
from loadtest.search import Step
from loadtest.tables import Table, conclusion, objectives_table, operations_table
from loadtest.verdict_page import verdict_page


def write_verdict(
    judged: list[Judged], measured: Measured, folder: Path, steps: Sequence[Step] = ()
) -> None:
    """Leave the verdict in a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(judged), indent=2)
    (folder / VERDICT).write_bytes(data + b"\n")
    (folder / PAGE).write_text(verdict_page(judged, measured, steps), encoding="utf-8")


def print_verdict(judged: list[Judged], measured: Measured, folder: Path) -> None:
    """Print the tables, and where more is to be found."""
    console = Console()
    console.print(_printable(operations_table(measured)))
    console.print(_printable(objectives_table(judged)))
    console.print(conclusion(judged), highlight=False)
    console.print(f"report, tables and verdict: {folder}/", soft_wrap=True, highlight=False)


def _printable(table: Table) -> rich.table.Table:
    first, *others = table.headings
    made = rich.table.Table(first, box=SIMPLE_HEAD)
    for heading in others:
        made.add_column(heading, justify="right")
    for row in table.rows:
        made.add_row(*row.cells, style="bold red" if row.is_bad else "")
    return made
