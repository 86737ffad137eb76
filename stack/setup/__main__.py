"""The set-up's command line: `denyut-setup influxdb`, `denyut-setup rollup`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from stack.setup.influxdb import InfluxSetup, SetupError
from stack.setup.settings import SetupSettings
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make a store ready for the services. Settings: docs/settings.md, SETUP_…",
)


@application.command()
def influxdb(
    tokens: Annotated[
        Path, typer.Option(help="the folder that gets a file with each service's token")
    ] = Path("data/tokens"),
) -> None:
    """Make organisation, buckets, downsampling tasks and tokens; a second run changes nothing."""
    with _one_line_errors():
        settings = SetupSettings.load()
        setup = InfluxSetup(settings.url, settings.operator_token, settings.plan())
        changes = 0
        for change in setup.apply(tokens, settings.admin_password):
            print(change)
            changes += 1
        setup.close()
    print("every token does what it may, and nothing else" + ("" if changes else "; no change"))


@application.command("rollup")
def roll_up(
    start: Annotated[
        datetime, typer.Option("--from", help="UTC; minutes and hours from here on are made again")
    ],
) -> None:
    """Make minutes and hours again, as after readings that came more than an hour late."""
    with _one_line_errors():
        settings = SetupSettings.load()
        setup = InfluxSetup(settings.url, settings.operator_token, settings.plan())
        since = start.replace(tzinfo=UTC) if start.tzinfo is None else start
        expected = int((datetime.now(UTC) - since).total_seconds() // 3600) + 1
        console = Console(stderr=True)
        shown = track(
            setup.roll_up(since),
            "hours",
            expected,
            console=console,
            disable=not console.is_terminal,
        )
        hours = sum(1 for _hour in shown)
        setup.close()
    print(f"{hours} hours are made again")


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (SetupError, SettingError, OSError) as error:
        print(f"denyut-setup: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def main() -> None:
    application()


if __name__ == "__main__":
    main()
