"""`denyut-grafana`: puts our dashboards into a Grafana that is not ours, and marks on them."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from stack.grafana import GrafanaError
from stack.grafana.marks import MOST_TEXT, read_marks
from stack.grafana.pushing import Pusher
from stack.grafana.server import GrafanaServer
from stack.grafana.settings import GrafanaSettings
from stack.grafana.wanted import wanted
from telemetry.settings import SettingError

TAG = "denyut"

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A Grafana that is not ours. Settings: docs/settings.md, GRAFANA_…",
)

Time = Annotated[
    str | None, typer.Option(help="as 2026-11-25T13:00:00Z; now, where it is left out")
]


@application.command()
def push() -> None:
    """Make or write folder, data sources and dashboards; a second run changes nothing."""
    with _one_line_errors(), _server() as (server, settings):
        changes = Pusher(server, wanted(settings), settings).push()
    for change in changes:
        print(change)
    if not changes:
        print("everything is there as it shall be")


@application.command()
def diff() -> None:
    """Say what `push` would change, and exit with 1 where it would."""
    with _one_line_errors(), _server() as (server, settings):
        changes = Pusher(server, wanted(settings), settings).changes()
    for change in changes:
        print(change)
        if change.difference:
            print(change.difference)
    raise typer.Exit(1 if changes else 0)


@application.command()
def annotate(
    text: Annotated[str, typer.Argument(help="what happened, as `deployed 1.4.2`")] = "",
    tag: Annotated[
        list[str] | None, typer.Option(help="a further tag, as deployment or loadtest; repeatable")
    ] = None,
    start: Time = None,
    stop: Annotated[str | None, typer.Option(help="its end, where it took time")] = None,
    file: Annotated[
        Path | None, typer.Option(help="a file of marks instead, as a load test leaves it")
    ] = None,
) -> None:
    """Set a mark that all our dashboards show, or those of a file."""
    with _one_line_errors():
        if file is not None:
            marks = read_marks(file)
            with _server() as (server, _settings):
                server.check()
                for mark in marks:
                    server.annotate(mark.text, mark.tags, mark.time, mark.time_end)
            return
        start_ms = time.time_ns() // 1_000_000 if start is None else _time_ms(start)
        stop_ms = None if stop is None else _time_ms(stop)
        if stop_ms is not None and stop_ms < start_ms:
            raise GrafanaError("the mark would end before it begins")
        if not text.strip() or len(text) > MOST_TEXT:
            raise GrafanaError(f"a mark's text has 1 to {MOST_TEXT} characters")
        with _server() as (server, _settings):
            server.check()
            server.annotate(text, [TAG, *(tag or [])], start_ms, stop_ms)


def _time_ms(text: str) -> int:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise GrafanaError(f"{text!r} is no time, as 2026-11-25T13:00:00Z") from error
    if found.tzinfo is None:
        found = found.replace(tzinfo=UTC)
    return round(found.timestamp() * 1000)


@contextmanager
def _server() -> Iterator[tuple[GrafanaServer, GrafanaSettings]]:
    settings = GrafanaSettings.load()
    server = GrafanaServer(settings)
    try:
        yield server, settings
    finally:
        server.close()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (GrafanaError, SettingError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from error


def main() -> None:
    application()


if __name__ == "__main__":
    main()
