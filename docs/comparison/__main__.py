"""Puts a run's figures into the pages: `python -m docs.comparison [build/compare.json]`."""

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from docs.comparison import CHART, FIGURES, PAGES, Results, read
from docs.comparison.chart import chart
from docs.comparison.claims import SECTIONS, claims_table
from docs.comparison.tables import costs, fast
from docs.comparison.words import Language

_MARKED = re.compile(r"(<!-- compare: ([a-z]+) -->\n).*?(<!-- /compare -->)", re.DOTALL)


def filled(page: str, results: Results, language: Language) -> str:
    """Return a page with a run's figures between its marks."""
    made = {"fast": fast(results, language), "costs": costs(results, language)}
    made |= {name: claims_table(claims, results, language) for name, claims in SECTIONS.items()}
    return _MARKED.sub(lambda found: f"{found[1]}{made[found[2]]}\n{found[3]}", page)


def wanted() -> dict[Path, str]:
    """Return what each file has to be, as the figures in the documentation say."""
    results = read()
    pages = {
        path: filled(path.read_text(encoding="utf-8"), results, language)
        for language, path in PAGES.items()
    }
    return {**pages, CHART: chart(results)}


def run(
    source: Annotated[
        Path | None, typer.Argument(exists=True, help="a run, build/compare.json; else the last")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="change nothing; exit 1 if old")] = False,
) -> None:
    """Write tables, claims and chart of the documentation from a run of `make compare`."""
    if source is not None:
        read(source)  # what is no run leaves all as it is
        FIGURES.write_bytes(source.read_bytes())
    old = [path for path, text in wanted().items() if not _is(path, text)]
    if check:
        for path in old:
            print(f"{path} is not as docs/compare.json says: python -m docs.comparison")
        sys.exit(bool(old))
    for path, text in wanted().items():
        path.write_text(text, encoding="utf-8")


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    typer.run(run)
