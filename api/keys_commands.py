"""`python -m api keys`: make, list and revoke API keys."""

from pathlib import Path
from typing import Annotated, cast

import typer

from telemetry.keys import Scope
from telemetry.keys.commands import KeyCommands

SCOPES: tuple[Scope, ...] = ("read", "command", "admin")
FILE_VARIABLE = "API_KEYS_FILE"

_commands = KeyCommands(
    "api", FILE_VARIABLE, "Make, list and revoke API keys; a running API notices at once."
)
application = _commands.application


@application.command()
def make(
    name: Annotated[str, typer.Option(help="who is to use it")],
    scope: Annotated[list[str], typer.Option(help=f"what it may do: {', '.join(SCOPES)}")],
    device: Annotated[
        list[str] | None,
        typer.Option(help="a device that it is limited to, or a prefix as `hall-*`"),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", envvar=FILE_VARIABLE, help="the file that gets its entry"),
    ] = None,
) -> None:
    """Print a new key, this once; its entry goes to the file, or after the key without one."""
    _commands.make(name, _scopes(scope), device, file)


def _scopes(given: list[str]) -> list[Scope]:
    for scope in given:
        if scope not in SCOPES:
            _commands.fail(f"--scope {scope!r}: {', '.join(SCOPES)} is allowed")
    return [cast(Scope, scope) for scope in dict.fromkeys(given)]
