"""`python -m ingest spool …`: what is in the spool, and how it gets into the store."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ingest.commands import folder_or_default, load_settings, run_or_fail
from ingest.replaying import replay_spool
from ingest.spool import list_segments

application = typer.Typer(help="What waits on the disk for the store.", no_args_is_help=True)


@application.command("list")
def list_spool(
    folder: Annotated[
        Path | None, typer.Argument(help="the spool's folder; else as the settings say")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines")] = False,
) -> None:
    """List the spool's segments: their readings and sizes; also while an ingest uses it."""
    found = list_segments(folder_or_default(folder, "spool"))
    for one in found:
        if as_json:
            print(
                msgspec.json.encode({**msgspec.structs.asdict(one), "path": str(one.path)}).decode()
            )
        else:
            held = f"{one.readings:,} readings in {one.records} batches"
            print(f"{one.path}: {held}, {one.bytes:,} bytes")
    if not as_json:
        print(f"{sum(one.readings for one in found):,} readings in {len(found)} segments")


@application.command()
def replay() -> None:
    """Store what an ingest that no longer runs has left in its spool; INGEST_… settings."""
    stored = run_or_fail(replay_spool(load_settings(), print))
    print(f"stored {stored:,} readings out of the spool")
