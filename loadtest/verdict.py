"""The verdict on a run: a table for people, and `verdict.json` for programs."""

from pathlib import Path

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtest.objectives import Judged

FILE = "verdict.json"


def write_verdict(judged: list[Judged], folder: Path) -> None:
    """Leave the verdict in a folder, which is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(judged), indent=2)
    (folder / FILE).write_bytes(data + b"\n")


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
