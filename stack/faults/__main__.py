"""The fault table's command line: `make faults`, or `python -m stack.faults --cases 1,3`."""

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack.faults import rows
from stack.faults.case import CASES, QUICK, Case
from stack.faults.running import Run
from stack.interrupts import run_command

REPORT = Path("build/faults.json")
SELFTEST_CASE = 1
SELFTEST_MODULE = "tests.e2e.early_acknowledgement"
_FAILED, _REFUSED, _INTERRUPTED = 1, 2, 130

application = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@application.command()
def run(
    cases: Annotated[str, typer.Option(help="only these rows: 1,3,19 or 8-18")] = "",
    quick: Annotated[bool, typer.Option(help="few rows, a smaller fleet, SQLite")] = False,
    selftest: Annotated[
        bool, typer.Option(help="row 1 with an ingest that acknowledges early: must be noticed")
    ] = False,
    list_them: Annotated[bool, typer.Option("--list", help="name the rows and stop")] = False,
    report: Annotated[Path, typer.Option(help="where the results are left")] = REPORT,
) -> None:
    """Run the fault table on real servers; exit code 1 where a row fails."""
    rows.register()
    console = Console()
    chosen = [CASES[SELFTEST_CASE]] if selftest else _chosen(cases, quick=quick)
    if list_them:
        for case in chosen:
            console.print(f"{case.number:>3}  {case.name}", highlight=False)
        return
    module = SELFTEST_MODULE if selftest else "ingest"
    passed = Run(chosen, console, report=report, quick=quick, ingest_module=module).all()
    if selftest:
        passed = not _tell_selftest(passed, console)
    raise typer.Exit(0 if passed else _FAILED)


def _tell_selftest(passed: bool, console: Console) -> bool:
    """Say what the self-test showed; return whether the broken promise went unnoticed."""
    if passed:
        console.print("[bold red]self-test FAILED: an early acknowledgement went unnoticed[/]")
    else:
        console.print("[green]self-test passed: row 1 failed, as it must when ingest lies[/]")
    return passed


def _chosen(text: str, *, quick: bool) -> list[Case]:
    known = sorted(QUICK if quick else CASES)
    if not text:
        return [CASES[number] for number in known]
    wanted = [number for part in text.split(",") for number in _numbers(part)]
    strange = [number for number in wanted if number not in CASES]
    if strange or not wanted:
        raise typer.BadParameter(f"{text}: the rows are {', '.join(map(str, sorted(CASES)))}")
    return [CASES[number] for number in dict.fromkeys(wanted)]


def _numbers(part: str) -> range:
    span = re.fullmatch(r"\s*(\d+)(?:-(\d+))?\s*", part)
    if span is None:
        raise typer.BadParameter(f"{part!r} is no row")
    return range(int(span[1]), int(span[2] or span[1]) + 1)


def main() -> None:
    run_command(application, failed=_REFUSED)


if __name__ == "__main__":
    main()
