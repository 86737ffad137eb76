"""`python -m ingest keys`: the keys with which senders are let in over HTTP and TCP."""

from pathlib import Path
from typing import Annotated

import typer

from telemetry.keys.commands import KeyCommands

FILE_VARIABLE = "INGEST_KEYS_FILE"

_commands = KeyCommands(
    "ingest",
    FILE_VARIABLE,
    "Make, list and revoke the keys of senders; a running ingest notices at once.",
)
application = _commands.application


@application.command()
def make(
    name: Annotated[str, typer.Option(help="who is to use it")],
    device: Annotated[
        list[str] | None,
        typer.Option(help="a device that it may write for, or a prefix as `hall-*`; repeatable"),
    ] = None,
    all_devices: Annotated[bool, typer.Option(help="it may write for every device")] = False,
    file: Annotated[
        Path | None,
        typer.Option("--file", envvar=FILE_VARIABLE, help="the file that gets its entry"),
    ] = None,
) -> None:
    """Print a new key, this once; its entry goes to the file, or after the key without one."""
    if bool(device) == all_devices:
        _commands.fail("name devices with --device, or say --all-devices")
    _commands.make(name, ["write"], device, file)
