"""The command line of the comparison: `make compare`, or `python -m bench.compare --rows tcp`."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import typer
from msgspec import Struct
from rich.console import Console
from rich.markup import escape

from bench.compare.figures import Compared, Losses, Speed, gather
from bench.compare.measuring import losses, speed
from bench.compare.rows import ROWS, Row
from bench.compare.table import print_table
from stack.interrupts import run_command

REPORT = Path("build/compare.json")
_FAILED, _INTERRUPTED = 1, 130

application = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


class Found(Struct):
    """What is known of a row so far."""

    row: Row
    speeds: list[Speed] = []
    losses: Losses | None = None
    why: str = ""


@application.command()
def compare(
    rows: Annotated[str, typer.Option(help="names, or beginnings of them: mqtt,tcp-tls")] = "",
    rounds: Annotated[int, typer.Option(min=1, max=9, help="how often each is measured")] = 2,
    store: Annotated[Literal["sqlite", "influxdb"], typer.Option()] = "sqlite",
    report: Annotated[Path, typer.Option(help="where the figures are left")] = REPORT,
) -> None:
    """Send the same readings by every way, in turn; exit 1 where one lost what it promises.

    A row that cannot be measured, and not at a second try, says why, and the others go on; that is
    exit 1 as well.
    """
    console = Console()
    found = [Found(row) for row in _chosen(rows)]
    began_s = time.monotonic()
    for number in range(rounds):
        for one in found:
            _try(one, f"round {number + 1} of {rounds}", partial(_measure, one, store), console)
    for one in found:
        _try(one, "what is lost", partial(_lose, one), console)
    compared = [
        gather(
            one.row.name,
            promised=one.row.promised,
            store=store,
            speeds=one.speeds,
            losses=one.losses,
            why=one.why,
        )
        for one in found
    ]
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_bytes(msgspec.json.format(msgspec.json.encode(compared)) + b"\n")
    print_table(compared, console)
    console.print(f"{report}, after {(time.monotonic() - began_s) / 60:.0f} minutes", style="dim")
    raise typer.Exit(_verdict(compared, console))


def _chosen(names: str) -> list[Row]:
    """Return the rows of these names, or whose names begin so: `mqtt` is all of MQTT."""
    wanted = [name for name in names.replace(" ", ",").split(",") if name]
    found = [row for name in wanted for row in _named(name)] if wanted else ROWS
    return list(dict.fromkeys(found))


def _named(name: str) -> list[Row]:
    exact = [row for row in ROWS if row.name == name]
    alike = exact or [row for row in ROWS if row.name.startswith(name)]
    if not alike:
        raise typer.BadParameter(f"{name}: allowed are {', '.join(row.name for row in ROWS)}")
    return alike


def _try(one: Found, what: str, measure: Callable[[], str], console: Console) -> None:
    """Measure one thing of a row, once more where that fails; a row that has failed is left."""
    if one.why:
        return
    told = partial(_told, f"{one.row.name}, {what}", measure, console)
    why = told() and told()
    if why:
        one.why = f"{what}: {why}"


def _told(what: str, measure: Callable[[], str], console: Console) -> str:
    """Measure, and say what came of it; return why it failed, or nothing."""
    began_s, why = time.monotonic(), ""
    with console.status(what):
        try:
            said = measure()
        except Exception as error:  # noqa: BLE001 - whatever it is, the other rows go on
            why = str(error) or type(error).__name__
            said = f"[bold red]failed[/]: {escape(why.partition(chr(10))[0])}"
    seconds = time.monotonic() - began_s
    console.print(f"{what}: {said} [dim]({seconds:.0f} s)[/]", highlight=False)
    return why


def _measure(one: Found, store: str) -> str:
    found = speed(one.row, store)
    one.speeds = [*one.speeds, found]
    packs, single = found.packs.readings_per_second, found.single.readings_per_second
    return f"{packs:,.0f} readings/s, {single:,.0f} one a message, p99 {found.latency_ms.p99} ms"


def _lose(one: Found) -> str:
    one.losses = found = losses(one.row)
    return f"{found.lost_sigkill:,} by SIGKILL, {found.lost_away:,} while away"


def _verdict(compared: list[Compared], console: Console) -> int:
    broken = [one.name for one in compared if one.broke_its_promise]
    failed = [one.name for one in compared if one.why]
    if broken:
        console.print(f"[bold red]lost what they promise: {', '.join(broken)}[/]")
    if failed:
        console.print(f"[bold red]not measured: {', '.join(failed)}[/]")
    if not broken and not failed:
        console.print("[green]No way that promises a reading has lost one.[/]")
    return _FAILED if broken or failed else 0


def main() -> None:
    run_command(application, failed=_FAILED)


if __name__ == "__main__":
    main()
