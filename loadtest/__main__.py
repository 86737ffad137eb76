"""The load tests' command line: `python -m loadtest`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from loadtest import LoadtestError
from loadtest.command import locust_command, locust_environment
from loadtest.objectives import SHIPPED, read_objectives
from loadtest.preflight import check_settings, check_target
from loadtest.settings import LoadtestSettings
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Load tests with Locust, held to objectives.",
)


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
    _become_locust(settings)


@application.command()
def check(
    objectives: Annotated[Path, typer.Argument(help="a file of objectives")] = SHIPPED,
) -> None:
    """Check a file of objectives and say what is in it."""
    with _one_line_errors():
        found = read_objectives(objectives)
    for one in found.objectives:
        print(one.operation)


def _become_locust(settings: LoadtestSettings) -> NoReturn:
    """Replace this process: signals and the exit code are Locust's without a go-between."""
    # It stands in a process from its beginning: Locust exchanges Python's sockets for gevent's.
    command = locust_command(settings)
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
