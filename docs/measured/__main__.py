"""Puts a run's figures into the page: `python -m docs.measured [build/bench.json]`."""

import re
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from bench.row import Row
from docs.measured import COMPARED, FIGURES, GROWTH, PAGE, compared, curves, merged, read
from docs.measured.compared_chart import compared_chart
from docs.measured.growth_chart import growth_chart

ISSUE = 11
_MARKED = re.compile(r"(<!-- measured: (\w+) -->\n).*?(<!-- /measured -->)", re.DOTALL)


def wanted() -> dict[Path, str]:
    """Return what each file has to be, as the figures in the documentation say."""
    rows = read()
    page = PAGE.read_text(encoding="utf-8")
    table = _table(compared(rows))
    files = {
        PAGE: _MARKED.sub(lambda found: f"{found[1]}{table}\n{found[3]}", page),
        COMPARED: compared_chart(compared(rows)),
    }
    for axis, path in GROWTH.items():
        drawn = [curve for curve in curves(rows) if curve.axis == axis]
        # A chart without a curve would say nothing.
        if drawn:
            files[path] = growth_chart(drawn)
    return files


def run(
    source: Annotated[
        Path | None, typer.Argument(exists=True, help="a run, build/bench.json; else the last")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="change nothing; exit 1 if old")] = False,
) -> None:
    """Write table and charts of the documentation from runs of `make bench`.

    Rows that a run has not measured stay as they were.
    """
    if source is not None:
        new = [row for row in read(source) if row.issue == ISSUE and row.ours is not None]
        rows = merged(read() if FIGURES.exists() else [], new)
        FIGURES.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    old = [path for path, text in wanted().items() if not _is(path, text)]
    if check:
        for path in old:
            print(f"{path} is not as docs/bench.json says: python -m docs.measured")
        sys.exit(bool(old))
    for path, text in wanted().items():
        path.write_text(text, encoding="utf-8")


def _table(rows: list[Row]) -> str:
    lines = ["| figure | ours | baseline | ratio | to reach | |", "|---|---|---|---|---|---|"]
    for row in rows:
        word = "reached" if row.reached else "not reached"
        lines.append(
            f"| {row.name} | {row.ours:,.1f} | {row.baseline:,.1f} | {row.ratio:.2f} "
            f"| {row.target} | {word} |"
        )
    return "\n".join(lines)


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    typer.run(run)
