"""The broker's command line: `python -m broker serve` is the container's entry point."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from broker import certificate_commands, serving
from broker.access import access_rules
from broker.commands import one_line_errors
from broker.configuration import BrokerConfiguration, BrokerLimits, Listener, Load
from broker.devices import parse_devices
from broker.settings import BrokerSettings

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Mosquitto: its configuration, access rules, passwords and certificates.",
)
application.add_typer(certificate_commands.application)

_USUAL = Load()
_MEGABYTE = 1_000_000


@application.command()
def serve() -> None:
    """Check the settings (docs/settings.md), write Mosquitto's files, and become Mosquitto."""
    with one_line_errors():
        serving.serve(BrokerSettings.load())


@application.command()
def devices(
    file: Annotated[Path, typer.Argument(help="names and ranges, as BROKER_DEVICES_FILE")],
) -> None:
    """Print the devices that a file names, one a line."""
    with one_line_errors():
        print("\n".join(parse_devices(file.read_text("utf-8"))))


@application.command()
def configuration(
    rate: Annotated[
        int, typer.Option(min=1, help="the peak of readings a second")
    ] = _USUAL.readings_per_second,
    outage: Annotated[
        int, typer.Option(min=1, help="for how many seconds ingest may be away")
    ] = _USUAL.outage_seconds,
    payload: Annotated[
        int, typer.Option(min=1, help="the mean bytes of a message's payload")
    ] = _USUAL.payload_bytes,
    devices: Annotated[int, typer.Option(min=1, help="how many connect")] = _USUAL.devices,
    host: Annotated[str, typer.Option(help="the address to listen on")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535)] = 1883,
    folder: Annotated[Path, typer.Option(help="where its state is kept")] = Path(
        "/var/lib/mosquitto"
    ),
    password_file: Annotated[Path, typer.Option()] = Path("/run/secrets/broker-passwords"),
    acl_file: Annotated[Path, typer.Option()] = Path("/etc/mosquitto/rules.acl"),
) -> None:
    """Print the mosquitto.conf for a load; what a full queue takes goes to standard error."""
    load = Load(
        readings_per_second=rate, outage_seconds=outage, payload_bytes=payload, devices=devices
    )
    limits = BrokerLimits.for_load(load)
    made = BrokerConfiguration(
        listeners=(Listener(host, port),),
        password_file=password_file,
        acl_file=acl_file,
        persistence_folder=folder,
        limits=limits,
    )
    print(made.text(), end="")
    print(
        f"a full queue: {limits.full_queue_memory_bytes / _MEGABYTE:,.0f} MB of memory, and "
        f"{limits.full_queue_disk_bytes / _MEGABYTE:,.0f} MB written every "
        f"{limits.autosave_seconds} s",
        file=sys.stderr,
    )


@application.command()
def rules() -> None:
    """Print the access rules."""
    print(access_rules(), end="")


def main() -> None:
    application()


if __name__ == "__main__":
    main()
