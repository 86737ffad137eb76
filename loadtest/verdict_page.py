"""The verdict as a page of its own, to be read on a phone and in the dark as well."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from loadtest.objectives import Judged, Measured
from loadtest.results import MARKS, REPORT, VERDICT
from loadtest.search import Step
from loadtest.tables import (
    Row,
    Table,
    conclusion,
    objectives_table,
    operations_table,
    steps_table,
)

_STYLE = Path(__file__).with_name("verdict.css")


def verdict_page(judged: list[Judged], measured: Measured, steps: Sequence[Step]) -> str:
    """Return the page; it loads nothing, so that it can be kept and sent by itself."""
    said = conclusion(judged)
    kind = "met" if all(one.met for one in judged) else "missed"
    tables = {"Objectives": objectives_table(judged), "Operations": operations_table(measured)}
    if steps:
        tables["Steps"] = steps_table(steps)
    sections = "\n".join(_section(title, table) for title, table in tables.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Load test: {said}</title>
<style>
{_STYLE.read_text(encoding="utf-8")}</style>
</head>
<body>
<header>
<h1>Load test: <span class="{kind}">{said}</span></h1>
<p>{_summary(measured)}</p>
</header>
<main>
{sections}
</main>
<footer>Beside this page: <a href="{REPORT}">Locust's report</a>,
<a href="{VERDICT}">the verdict as JSON</a>, <a href="{MARKS}">marks for Grafana</a></footer>
</body>
</html>
"""


def _summary(measured: Measured) -> str:
    by = ", ".join(sorted(measured.users))
    rate = measured.rate_percent
    held = "" if rate is None else f" · {rate:.1f} % of the load that was due"
    return f"{measured.seconds:.0f} s of {by}{held}"


def _section(title: str, table: Table) -> str:
    headings = "".join(f'<th scope="col">{heading}</th>' for heading in table.headings)
    rows = "\n".join(map(_row, table.rows))
    name = title.lower()
    return f"""<section tabindex="0" aria-labelledby="{name}">
<h2 id="{name}">{title}</h2>
<table>
<thead><tr>{headings}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</section>"""


def _row(row: Row) -> str:
    first, *others = map(escape, row.cells)
    kind = ' class="missed"' if row.is_bad else ""
    cells = "".join(f"<td>{cell}</td>" for cell in others)
    return f'<tr{kind}><th scope="row">{first}</th>{cells}</tr>'
