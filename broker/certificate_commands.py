"""Commands for people with devices of their own: certificates, and a device's password."""

import os
from pathlib import Path
from typing import Annotated

import typer

from broker.certificates import (
    AUTHORITY_DAYS,
    CERTIFICATE_DAYS,
    Authority,
    CertificateError,
    Issued,
)
from broker.commands import one_line_errors
from broker.devices import checked_device
from telemetry.credentials import device_password
from telemetry.private_files import write_private
from telemetry.settings import SettingError

application = typer.Typer()

_AUTHORITY = "ca"


@application.command()
def authority(
    folder: Annotated[Path, typer.Option(help="gets ca.crt and ca.key")],
    name: Annotated[str, typer.Option(help="what it calls itself")] = "Denyut",
    days: Annotated[int, typer.Option(min=1)] = AUTHORITY_DAYS,
) -> None:
    """Make a certificate authority; one that is there already stays."""
    with one_line_errors():
        if (folder / f"{_AUTHORITY}.key").exists():
            raise CertificateError(f"{folder} has an authority already: whoever trusts it needs it")
        _write(folder, _AUTHORITY, Authority.make(name, days=days).kept)


@application.command()
def certificate(
    authority: Annotated[Path, typer.Option(help="the folder of ca.crt and ca.key")],
    server: Annotated[
        list[str] | None, typer.Option(help="a host name or address of the broker; repeatable")
    ] = None,
    client: Annotated[str | None, typer.Option(help="the name of a device")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="gets certificate and key; else the authority's folder")
    ] = None,
    days: Annotated[int, typer.Option(min=1)] = CERTIFICATE_DAYS,
) -> None:
    """Issue a certificate for a broker (server.crt, server.key) or for a device (NAME.crt, .key).

    A further one of the same name takes the place of the earlier.
    """
    with one_line_errors():
        if bool(server) == bool(client):
            raise CertificateError("name either --server, as often as needed, or --client")
        issuer = Authority.load(_read(authority, _AUTHORITY))
        if server:
            _write(folder or authority, "server", issuer.issue_server(server, days=days))
        elif client:
            name = checked_device(client)
            if name == _AUTHORITY:
                raise CertificateError(f"{name!r} is the name of the authority's own files")
            _write(folder or authority, name, issuer.issue_client(name, days=days))


@application.command()
def password(
    device: Annotated[str, typer.Argument(help="the device's name, its MQTT user name")],
    fleet_key_file: Annotated[
        Path | None, typer.Option(help="the fleet key; else BROKER_FLEET_KEY_FILE names it")
    ] = None,
) -> None:
    """Print a device's password, so that a real one can be let in."""
    with one_line_errors():
        path = fleet_key_file or Path(os.environ.get("BROKER_FLEET_KEY_FILE", ""))
        if not path.name:
            raise SettingError("name the fleet key's file: --fleet-key-file, BROKER_FLEET_KEY_FILE")
        fleet_key = path.read_text(encoding="utf-8").rstrip("\r\n")
        if not fleet_key:
            raise SettingError(f"{path} is empty")
        print(device_password(fleet_key, checked_device(device)))


def _read(folder: Path, name: str) -> Issued:
    return Issued(*((folder / f"{name}.{kind}").read_text("utf-8") for kind in ("crt", "key")))


def _write(folder: Path, name: str, issued: Issued) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    print(write_private(folder / f"{name}.crt", issued.certificate_pem))
    print(write_private(folder / f"{name}.key", issued.key_pem))
