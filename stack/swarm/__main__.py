"""The stack on this Swarm: deploy, scale, look, renew, back up, take away."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack import StackError
from stack.interrupts import stop_by_signals
from stack.swarm import backup as backups
from stack.swarm.auditing import audit_stack
from stack.swarm.deployment import Deployment
from stack.swarm.docker import Docker
from stack.swarm.removal import undeploy as remove_stack
from stack.swarm.rotation import USUAL, Rotated
from stack.swarm.rotation import rotate as rotate_secrets
from stack.swarm.scaling import leave as leave_for_good
from stack.swarm.scaling import scale as scale_service
from stack.swarm.settings import DeploySettings
from stack.swarm.status import print_status
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__
)
_FAILED, _REFUSED, _INTERRUPTED = 1, 2, 130


@application.command()
def deploy() -> None:
    """Bring the Swarm to what the settings say; settings: docs/settings.md, DENYUT_…."""
    _deployment().deploy()


@application.command()
def undeploy(
    data: Annotated[
        bool, typer.Option("--data", help="remove readings and secrets as well")
    ] = False,
) -> None:
    """Stop every service; what is stored, and the secrets, stay unless told otherwise."""
    remove_stack(_deployment(), with_data=data)


@application.command()
def status() -> None:
    """Show every service, and ingests that are gone without having left; exit 1 if any lacks."""
    raise typer.Exit(0 if print_status(_deployment()) else _FAILED)


@application.command()
def scale(
    service: Annotated[str, typer.Argument(help="sensors, ingest, api or loadtest")],
    replicas: Annotated[int, typer.Argument(min=0, max=1_000)],
) -> None:
    """Let a service have so many tasks; an ingest that goes leaves for good, without a loss.

    A load test begins anew with each call, with the LOADTEST_… of the environment, and ends by
    itself.
    """
    scale_service(_deployment(), service, replicas)


@application.command()
def leave(slot: Annotated[int, typer.Argument(min=1, help="as in ingest-3: 3")]) -> None:
    """Drain what is parked for an ingest that was scaled away by other means."""
    leave_for_good(_deployment(), slot)


@application.command()
def rotate(
    what: Annotated[
        list[Rotated] | None, typer.Argument(help="tokens, passwords and certificates if not said")
    ] = None,
) -> None:
    """Make secrets anew, while the services go on."""
    rotate_secrets(_deployment(), tuple(what) if what else USUAL)


@application.command()
def backup(
    to: Annotated[Path, typer.Argument(help="the file to write", dir_okay=False)],
) -> None:
    """Write all that InfluxDB holds to a file."""
    backups.backup(_deployment(), to)


@application.command()
def restore(
    source: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    replace: Annotated[bool, typer.Option("--replace", help="what is stored now goes")] = False,
) -> None:
    """Bring a backup into the stack's InfluxDB, and its tokens in order."""
    backups.restore(_deployment(), source, replace=replace)


@application.command()
def audit(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON instead of a table")] = False,
) -> None:
    """Compare the devices' ledgers with what is stored; it needs DENYUT_LEDGER=true."""
    kept, told = audit_stack(_deployment(), as_json=as_json)
    print(told, end="")
    raise typer.Exit(0 if kept else _FAILED)


def _deployment() -> Deployment:
    return Deployment(DeploySettings.remembered(), Docker(), Console())


def main() -> None:
    stop_by_signals()
    try:
        application(standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (SettingError, StackError) as error:
        print(error, file=sys.stderr)
        sys.exit(_REFUSED if isinstance(error, SettingError) else _FAILED)


if __name__ == "__main__":
    main()
