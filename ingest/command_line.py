"""Ingest's command line: `python -m ingest --help`."""

from pathlib import Path
from typing import Annotated

import typer

from ingest import (
    folder_commands,
    inbox_commands,
    keys_commands,
    quarantine_commands,
    spool_commands,
)
from ingest.commands import load_settings, run_or_fail, serve
from ingest.leaving import Departure
from ingest.service import IngestService
from ingest.settings import IngestSettings
from ingest.sources.mqtt.members_listing import members

application = typer.Typer(
    add_completion=False,
    help="Take readings from the broker, store them, acknowledge them.",
)
application.add_typer(spool_commands.application, name="spool")
application.add_typer(quarantine_commands.application, name="quarantine")
application.add_typer(folder_commands.application, name="folder")
application.add_typer(inbox_commands.application, name="inbox")
application.add_typer(keys_commands.application, name="keys")
application.command()(members)


@application.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Run the service when no command is given."""
    if context.invoked_subcommand is None:
        run()


@application.command()
def run() -> None:
    """Run until SIGTERM or Ctrl-C; settings come from the environment (docs/settings.md)."""
    serve()


@application.command()
def leave(
    client_id: Annotated[str, typer.Option(help="whose session and spool are to end")],
    quiet_seconds: Annotated[
        float, typer.Option(min=0.1, help="the session is empty when nothing came for so long")
    ] = 2.0,
    hand_to: Annotated[
        Path | None,
        typer.Option(help="another ingest's spool folder, which gets what is in this one's"),
    ] = None,
) -> None:
    """Leave for good: drain what the broker holds for an ingest that was stopped, end its session.

    Its spool is stored, or handed on; what it had claimed in a shared folder is released.
    Settings are those of the ingest that is to leave.
    """
    settings = load_settings(client_id=client_id)
    run_or_fail(_leave(settings, quiet_seconds, hand_to))


async def _leave(settings: IngestSettings, quiet_seconds: float, hand_to: Path | None) -> None:
    service = IngestService(settings, leaving=True)
    departure = Departure(
        service, quiet_seconds=quiet_seconds, say=lambda line: print(line, flush=True)
    )
    await departure.leave(hand_to)
