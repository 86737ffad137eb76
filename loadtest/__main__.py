"""The load tests' command line: `python -m loadtest`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from loadtest import LoadtestError
from loadtest.command import find_master, locust_command, locust_environment
from loadtest.objectives import SHIPPED, read_objectives
from loadtest.preflight import check_settings, check_target
from loadtest.results import clear_results
from loadtest.settings import LoadtestSettings
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Load tests with Locust, held to objectives.",
)


class StoreKind(StrEnum):
    sqlite = "sqlite"
    influxdb = "influxdb"


@application.command()
def run() -> None:
    """Load the target as LOADTEST_… say, and judge; settings: docs/settings.md.

    Exit code 1 where an objective was missed, 2 where the run could not begin.
    """
    with _one_line_errors():
        settings = LoadtestSettings.load()
        read_objectives(Path(settings.objectives or SHIPPED))
        check_settings(settings)
        check_target(settings)
        clear_results(Path(settings.results_dir))
        works = settings.tasks > 1 and settings.slot > 1
        master = find_master(settings) if works else ""
    if settings.ui:
        print(f"Locust's page: http://{settings.ui_host}:{settings.ui_port}/; Ctrl-C ends it")
    _become_locust(settings, master)


@application.command()
def local(
    store: Annotated[StoreKind, typer.Option(help="where readings are stored")] = StoreKind.sqlite,
) -> None:
    """Start a pipeline on this machine, load it as LOADTEST_… say, judge, and stop it again."""
    # An image has this room alone, and loads what is elsewhere.
    from loadtest.local import run_locally
    from stack import StackError
    from stack.interrupts import INTERRUPTED, stop_by_signals

    stop_by_signals()
    with _one_line_errors():
        try:
            code = run_locally(store.value, Console(stderr=True))
        except StackError as error:
            raise LoadtestError(str(error)) from error
        except KeyboardInterrupt:
            code = INTERRUPTED
    raise typer.Exit(code)


@application.command()
def check(
    objectives: Annotated[Path, typer.Argument(help="a file of objectives")] = SHIPPED,
) -> None:
    """Check a file of objectives and say what is in it."""
    with _one_line_errors():
        found = read_objectives(objectives)
    for one in found.objectives:
        print(one.operation)


def _become_locust(settings: LoadtestSettings, master: str) -> NoReturn:
    """Replace this process: signals and the exit code are Locust's without a go-between."""
    # It stands in a process from its beginning: Locust exchanges Python's sockets for gevent's.
    command = locust_command(settings, master)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], command, locust_environment(os.environ, {}))  # noqa: S606


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (LoadtestError, SettingError) as error:
        print(f"loadtest: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def main() -> None:
    application()


if __name__ == "__main__":
    main()
