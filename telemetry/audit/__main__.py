"""The audit's command line: `denyut-audit --ledger FOLDER --store sqlite:///PATH`."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from telemetry.audit import audit
from telemetry.audit.report import render
from telemetry.audit.settings import AuditSettings
from telemetry.ledger import LedgerError, read_ledger
from telemetry.settings import SettingError
from telemetry.store import StoreError
from telemetry.store.opening import open_store

application = typer.Typer(add_completion=False)


@application.command()
def run(
    ledger: Annotated[
        list[Path], typer.Option(exists=True, help="a ledger, or a folder of ledgers; repeatable")
    ],
    store: Annotated[
        str | None, typer.Option(help="the store's URL; other settings: AUDIT_STORE_…")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Compare what devices offered with what is stored; exit 1 if the promise was broken."""
    try:
        opened = open_store(AuditSettings.load(store_url=store), read_only=True)
        report = audit(read_ledger(ledger), opened.sequences())
    except (LedgerError, SettingError, StoreError) as error:
        print(f"denyut-audit: {error}", file=sys.stderr)
        raise typer.Exit(2) from error
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
    else:
        Console().print(render(report))
    raise typer.Exit(0 if report.promise_kept else 1)


def main() -> None:
    application()


if __name__ == "__main__":
    main()
