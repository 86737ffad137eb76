"""`python -m ingest folder …`: what waits in a shared folder, and what ingests have claimed."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ingest.commands import fail
from ingest.sources.folder.claims_of_others import claimants, release
from ingest.sources.folder.holding import FolderInUse
from ingest.sources.folder.shared_folder import list_waiting

application = typer.Typer(help="The shared folder as a way in.", no_args_is_help=True)

_Folder = Annotated[
    Path | None, typer.Argument(help="the shared folder; else as INGEST_FOLDER says")
]


@application.command("list")
def list_folder(folder: _Folder = None) -> None:
    """List what waits, what is left alone, and what each ingest has claimed."""
    path = _chosen(folder)
    try:
        seen = list_waiting(path)
        print(f"{seen.waiting:,} files wait")
        for why, files in seen.passed_over.items():
            if files:
                print(f"{files:,} are left alone: {why}")
        for one in claimants(path):
            state = "runs" if one.runs else "is away"
            print(f"{one.client_id} {state} and has claimed {one.files:,} files")
    except OSError as error:
        fail(str(error))


@application.command("release")
def release_claims(
    client_id: Annotated[str, typer.Option(help="the ingest that is gone")],
    folder: _Folder = None,
) -> None:
    """Let the other ingests have what one that is gone had claimed; `leave` does it as well."""
    try:
        released = release(_chosen(folder), client_id)
    except (OSError, FolderInUse) as error:
        fail(str(error))
    print(f"released {released:,} files")


def _chosen(given: Path | None) -> Path:
    named = given or os.environ.get("INGEST_FOLDER")
    if not named:
        fail("name the folder, or set INGEST_FOLDER")
    return Path(named)
