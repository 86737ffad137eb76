"""What the services' commands for keys share: one made and shown once, all listed, one revoked."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from telemetry.keys import KeyEntryError, Scope, entry_line, make_key
from telemetry.keys import file as key_file
from telemetry.settings import SettingError


class KeyCommands:
    """The commands of one service, whose setting `variable` names the file of keys."""

    def __init__(self, program: str, variable: str, help_text: str) -> None:
        self._program = program
        self.application = typer.Typer(
            add_completion=False,
            no_args_is_help=True,
            pretty_exceptions_enable=False,
            help=help_text,
        )
        file = typer.Option("--file", envvar=variable, help="the file of keys")

        @self.application.command(name="list")
        def list_keys(file: Annotated[Path, file]) -> None:
            """List the keys of a file: id, name, scopes, devices, and when it was made."""
            self._list(file)

        @self.application.command()
        def revoke(
            key_id: Annotated[str, typer.Argument(metavar="ID")], file: Annotated[Path, file]
        ) -> None:
            """Take a key out of a file: from then on it opens nothing."""
            self._revoke(key_id, file)

    def make(
        self, name: str, scopes: list[Scope], devices: Sequence[str] | None, file: Path | None
    ) -> None:
        """Print a new key, this once; its entry goes to the file, or after the key without one."""
        made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        try:
            key, entry = make_key(name, scopes, list(devices or ()), made=made)
            if file is not None:
                if file.exists():
                    key_file.load(file)
                key_file.add(file, entry)
        except (KeyEntryError, SettingError) as error:
            self.fail(str(error))
        except OSError as error:
            self.fail(f"{str(file)!r}: cannot be written: {error.strerror}")
        print(key)
        if file is None:
            print(entry_line(entry).decode(), end="")
        else:
            print(f"key {entry.id} for {name} is in {file}; it is shown only now", file=sys.stderr)

    def fail(self, message: str) -> NoReturn:
        """Say what is wrong in one line, and exit with code 2."""
        print(f"{self._program}: {message}", file=sys.stderr)
        raise typer.Exit(2)

    def _list(self, file: Path) -> None:
        try:
            entries = key_file.load(file)
        except SettingError as error:
            self.fail(str(error))
        for entry in entries:
            devices = ",".join(entry.devices or []) or "all devices"
            print(f"{entry.id}  {entry.name}  {','.join(entry.scopes)}  {devices}  {entry.made}")

    def _revoke(self, key_id: str, file: Path) -> None:
        try:
            was_there = key_file.remove(file, key_id)
        except SettingError as error:
            self.fail(str(error))
        except OSError as error:
            self.fail(f"{str(file)!r}: cannot be written: {error.strerror}")
        if not was_there:
            self.fail(f"{str(file)!r} has no key {key_id!r}")
        print(f"key {key_id} is revoked", file=sys.stderr)
