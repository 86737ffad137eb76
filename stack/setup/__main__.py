"""The set-up's command line: `denyut-setup influxdb`, `exchange`, `rollup`, `backup`, `restore`."""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track

from stack.setup.archive import Archive
from stack.setup.backup import Backup
from stack.setup.exchange import exchange
from stack.setup.files import copied, written
from stack.setup.influxdb import InfluxSetup
from stack.setup.restore import Restore
from stack.setup.secrets_in import ExchangeRequest, read_line, read_object
from stack.setup.server import RequestRefused, Server, SetupError
from stack.setup.settings import SetupSettings
from stack.setup.tokens import TokenFolder
from telemetry.settings import Secret, SettingError

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make a store ready for the services. Settings: docs/settings.md, SETUP_…",
)

SecretsFromStdin = Annotated[
    bool,
    typer.Option(
        "--secrets-from-stdin",
        help='the first line of standard input is {"operator_token": "…"}',
    ),
]


@application.command()
def influxdb(
    tokens: Annotated[
        Path, typer.Option(help="the folder that gets a file with each service's token")
    ] = Path("data/tokens"),
) -> None:
    """Make organisation, buckets, downsampling tasks and tokens; a second run changes nothing."""
    with _one_line_errors():
        settings = SetupSettings.load()
        changes = 0
        with _server(settings) as server:
            setup = InfluxSetup(server, settings.plan())
            for change in setup.apply(TokenFolder(tokens), settings.admin_password):
                print(change)
                changes += 1
    print("every token does what it may, and nothing else" + ("" if changes else "; no change"))


@application.command("exchange")
def exchange_secrets() -> None:
    """Do the same without files: secrets come by standard input and go by standard output."""
    with _one_line_errors():
        request = read_object(sys.stdin.buffer, ExchangeRequest)
        settings = SetupSettings.load(operator_token=Secret(request.operator_token))
        with _server(settings) as server:
            answer = exchange(server, settings.plan(), request, settings.wait_seconds, _progress)
    print(msgspec.json.encode(answer).decode())


@application.command("rollup")
def roll_up(
    start: Annotated[
        datetime, typer.Option("--from", help="UTC; minutes and hours from here on are made again")
    ],
) -> None:
    """Make minutes and hours again, as after readings that came more than an hour late."""
    with _one_line_errors():
        settings = SetupSettings.load()
        since = start.replace(tzinfo=UTC) if start.tzinfo is None else start
        expected = int((datetime.now(UTC) - since).total_seconds() // 3600) + 1
        console = Console(stderr=True)
        with _server(settings) as server:
            shown = track(
                InfluxSetup(server, settings.plan()).roll_up(since),
                "hours",
                expected,
                console=console,
                disable=not console.is_terminal,
            )
            hours = sum(1 for _hour in shown)
    print(f"{hours} hours are made again")


@application.command("backup")
def back_up(
    to: Annotated[
        Path | None,
        typer.Option(help="a file; without it the backup goes to standard output", dir_okay=False),
    ] = None,
    secrets_from_stdin: SecretsFromStdin = False,
) -> None:
    """Write all readings, minutes and hours into one tar, while the server goes on writing."""
    with _one_line_errors():
        if to is None and sys.stdout.isatty():
            raise RequestRefused("a backup is nothing for a terminal: > FILE, or --to FILE")
        settings = _settings(secrets_from_stdin)
        with _server(settings) as server, written(to, sys.stdout.buffer) as out:
            for step in Backup(server, settings.plan()).write(out):
                _progress(step)


@application.command()
def restore(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="a file; without it the backup comes by standard input"),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="delete the buckets that the server has already")
    ] = False,
    spool: Annotated[
        Path | None,
        typer.Option(
            help="where a backup that comes by standard input is kept until it is checked:"
            " a folder with room for all of it [default: the system's temporary one]"
        ),
    ] = None,
    secrets_from_stdin: SecretsFromStdin = False,
) -> None:
    """Put a backup into a server, once it is seen to be whole; then make the tokens right again."""
    with _one_line_errors():
        settings = _settings(secrets_from_stdin)
        folder = spool or Path(tempfile.gettempdir())
        with _server(settings) as server:
            keep_seconds = settings.keep_replaced_seconds
            restoring = Restore(server, settings.plan(), keep_seconds=keep_seconds)
            restoring.check(replace=replace)
            with copied(source, sys.stdin.buffer, folder) as file:
                archive = Archive(file)
                _progress(f"the backup of {archive.manifest.made_at} is whole")
                for step in restoring.apply(archive):
                    _progress(step)
        _progress("next: denyut-setup influxdb, or exchange, for the tokens of the new buckets")


def _settings(secrets_from_stdin: bool) -> SetupSettings:
    if not secrets_from_stdin:
        return SetupSettings.load()
    return SetupSettings.load(operator_token=Secret(read_line(sys.stdin.buffer).operator_token))


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@contextmanager
def _server(settings: SetupSettings) -> Iterator[Server]:
    server = Server(settings.url, settings.operator_token, settings.org)
    try:
        yield server
    finally:
        server.close()


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
