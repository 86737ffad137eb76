"""`python -m api keys`: make, list and revoke API keys."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn, cast

import typer

from api import key_file
from api.keys import SCOPES, KeyEntryError, Scope, entry_line, make_key
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make, list and revoke API keys; a running API notices at once.",
)

KeysFile = Annotated[Path, typer.Option("--file", envvar="API_KEYS_FILE", help="the file of keys")]


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
        typer.Option("--file", envvar="API_KEYS_FILE", help="the file that gets its entry"),
    ] = None,
) -> None:
    """Print a new key, this once; its entry goes to the file, or after the key without one."""
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        key, entry = make_key(name, _scopes(scope), device, made=made)
        if file is not None:
            if file.exists():
                key_file.load(file)
            key_file.add(file, entry)
    except (KeyEntryError, SettingError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{str(file)!r}: cannot be written: {error.strerror}")
    print(key)
    if file is None:
        print(entry_line(entry).decode(), end="")
    else:
        print(f"key {entry.id} for {name} is in {file}; it is shown only now", file=sys.stderr)


@application.command(name="list")
def list_keys(file: KeysFile) -> None:
    """List the keys of a file: id, name, scopes, devices, and when it was made."""
    try:
        entries = key_file.load(file)
    except SettingError as error:
        _fail(str(error))
    for entry in entries:
        devices = ",".join(entry.devices or []) or "all devices"
        print(f"{entry.id}  {entry.name}  {','.join(entry.scopes)}  {devices}  {entry.made}")


@application.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")], file: KeysFile) -> None:
    """Take a key out of a file: from then on it opens nothing."""
    try:
        was_there = key_file.remove(file, key_id)
    except SettingError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{str(file)!r}: cannot be written: {error.strerror}")
    if not was_there:
        _fail(f"{str(file)!r} has no key {key_id!r}")
    print(f"key {key_id} is revoked", file=sys.stderr)


def _scopes(given: list[str]) -> list[Scope]:
    for scope in given:
        if scope not in SCOPES:
            _fail(f"--scope {scope!r}: {', '.join(SCOPES)} is allowed")
    return [cast(Scope, scope) for scope in dict.fromkeys(given)]


def _fail(message: str) -> NoReturn:
    print(f"api: {message}", file=sys.stderr)
    raise typer.Exit(2)
