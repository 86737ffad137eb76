"""Ingest's command line: `python -m ingest`."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop

from ingest.quarantine import Quarantine
from ingest.service import IngestService
from ingest.settings import IngestSettings
from telemetry import log
from telemetry.settings import SettingError
from telemetry.topics import TopicError

application = typer.Typer(
    add_completion=False,
    help="Take readings from the broker, store them, acknowledge them.",
)
quarantine = typer.Typer(help="What could not be stored.", no_args_is_help=True)
application.add_typer(quarantine, name="quarantine")


@application.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Run the service when no command is given."""
    if context.invoked_subcommand is None:
        run()


@application.command()
def run() -> None:
    """Run until SIGTERM or Ctrl-C; settings come from the environment (docs/settings.md)."""
    try:
        settings = IngestSettings.load()
        log.configure("ingest", settings)
        uvloop.run(_serve(settings))
    except (SettingError, TopicError) as error:
        _fail(f"INGEST_TOPICS: {error}" if isinstance(error, TopicError) else str(error))
    except OSError as error:
        _fail(str(error))


@quarantine.command("list")
def list_quarantine(
    folder: Annotated[Path, typer.Argument(help="the quarantine's folder")],
    as_json: Annotated[bool, typer.Option("--json", help="whole records as JSON lines")] = False,
) -> None:
    """List what is in a quarantine: when, from which topic, and why it was not stored."""
    if not folder.is_dir():
        _fail(f"{folder}: no such folder")
    for record in Quarantine(folder, budget_bytes=1).records():
        if as_json:
            print(msgspec.json.encode(record).decode())
        else:
            print(f"{record.time_ms} {record.topic} {len(record.payload)} bytes: {record.reason}")


async def _serve(settings: IngestSettings) -> None:
    # Parts of the service hold events of the running loop, so they are made inside it.
    await IngestService(settings).serve()


def _fail(message: str) -> None:
    print(f"ingest: {message}", file=sys.stderr)
    raise typer.Exit(2)


def main() -> None:
    application()


if __name__ == "__main__":
    main()
