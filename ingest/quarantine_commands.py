"""`python -m ingest quarantine …`: what could not be stored, and trying it again."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ingest.commands import fail, folder_or_default, load_settings, run_or_fail
from ingest.quarantine import Quarantine, QuarantineRecord
from ingest.replaying import replay_quarantine

application = typer.Typer(help="What could not be stored.", no_args_is_help=True)

_Folder = Annotated[
    Path | None, typer.Argument(help="the quarantine's folder; else as the settings say")
]


@application.command("list")
def list_quarantine(
    folder: _Folder = None,
    as_json: Annotated[bool, typer.Option("--json", help="whole records as JSON lines")] = False,
) -> None:
    """List what is in quarantine: its name, when, from which topic, and why it was not stored."""
    for name, record in _opened(folder).named_records():
        if as_json:
            print(msgspec.json.encode(record).decode())
        else:
            size = len(record.payload)
            print(f"{name} {record.time_ms} {record.topic or '-'} {size} bytes: {record.reason}")


@application.command()
def show(
    name: Annotated[str, typer.Argument(help="a record's name, as `list` tells it")],
    folder: _Folder = None,
) -> None:
    """Show one record with its payload, as text where it is text."""
    for found, record in _opened(folder).named_records():
        if found == name:
            _print(record)
            return
    fail(f"{name} is not in quarantine: see `quarantine list`")


@application.command()
def replay() -> None:
    """Decode and store all of it again, after a setting was mended; INGEST_… settings.

    What still cannot be stored stays in quarantine. An ingest may run meanwhile.
    """
    stored, kept = run_or_fail(replay_quarantine(load_settings(), print))
    print(f"stored {stored:,} readings; {kept:,} are in quarantine again")


def _opened(folder: Path | None) -> Quarantine:
    return Quarantine(folder_or_default(folder, "quarantine"), budget_bytes=1)


def _print(record: QuarantineRecord) -> None:
    for name in ("time_ms", "topic", "qos", "content_type", "index", "devices", "reason"):
        value = getattr(record, name)
        if value is not None:
            print(f"{name}: {value}")
    print(f"payload: {record.payload.decode('utf-8', 'backslashreplace')}")
