"""The sensors' command line: `python -m sensors`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
import uvloop
from rich.console import Console

from sensors.course import Course
from sensors.fleet import Fleet, QosChoice, device_names, make_fleet, name_ranges
from sensors.fleetfile import FleetError, FleetFile, find_fleet, read_fleet_file
from sensors.liveview import live_view
from sensors.profiles import PROFILES
from sensors.report import Report, report_table, write_report
from sensors.service import FleetRun
from sensors.settings import SensorsSettings
from sensors.ways.checking import check_fleet, check_settings
from sensors.ways.kinds import WAYS, WayName
from telemetry import log
from telemetry.descriptors import TooFewDescriptors, allow_connections
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Simulated devices that send their readings to ingest.",
)

FleetArgument = Annotated[
    str, typer.Argument(metavar="FLEET", help="a fleet file, or the name of a shipped fleet: demo")
]
OptionalFleetArgument = Annotated[
    str | None, typer.Argument(metavar="[FLEET]", help="instead of SENSORS_FLEET's")
]
DevicesOption = Annotated[
    int | None,
    typer.Option(min=1, max=1_000_000, help="scale the fleet to this number of devices"),
]
QosOption = Annotated[
    QosChoice | None, typer.Option(help="publish at this level instead of the file's")
]
ViaOption = Annotated[
    WayName | None, typer.Option(help="the way that readings take, instead of SENSORS_VIA's: mqtt")
]


@application.command()
def run(
    fleet: OptionalFleetArgument = None,
    devices: DevicesOption = None,
    qos: QosOption = None,
    via: ViaOption = None,
    duration: Annotated[
        float | None,
        typer.Option(min=0.1, help="stop after so many seconds, counted from the first readings"),
    ] = None,
    readings: Annotated[
        int | None, typer.Option(min=1, help="stop after so many readings, instead of the file's")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="instead of the file's seed")] = None,
    report: Annotated[Path | None, typer.Option(help="write the report there, as JSON")] = None,
) -> None:
    """Run a fleet until Ctrl-C, SIGTERM or its end; settings: docs/settings.md.

    Exit code 1: an objective was missed. 2: a mistake. 3: the run is void, because this process
    could not keep up.
    """
    with _one_line_errors():
        settings = SensorsSettings.load(fleet=fleet, devices=devices, qos=qos, via=via)
        check_settings(settings)
        made = make_fleet(
            _read(settings.fleet),
            devices=settings.devices,
            qos=settings.qos,
            seed=seed,
            slot=settings.slot,
        )
        if readings is not None:
            run_plan = msgspec.structs.replace(made.run, readings=readings)
            made = msgspec.structs.replace(made, run=run_plan)
        check_fleet(made, settings.via)
        _check_client_id(made, settings)
        allow_connections(len(made.devices) + 1 if WAYS[settings.via].by_device else 1)
        log.configure("sensors", settings)
        result = uvloop.run(_run(made, settings, duration))
        if report is not None:
            write_report(result, report)
    Console().print(report_table(result))
    raise typer.Exit(result.exit_code)


@application.command()
def check(fleet: FleetArgument, qos: QosOption = None, via: ViaOption = None) -> None:
    """Check a fleet file, also for a way, and say what is in it."""
    with _one_line_errors():
        made = make_fleet(_read(fleet), qos=qos)
        check_fleet(made, via or "mqtt")
    levels = {qos: sum(device.qos == qos for device in made.devices) for qos in (0, 1, 2)}
    sites = len({device.site for device in made.devices})
    by_level = ", ".join(f"{count} at QoS {qos}" for qos, count in levels.items() if count)
    rate = sum(1000 / device.period_ms for device in made.devices)
    print(f"{made.name}: {len(made.devices)} devices on {sites} sites: {by_level}")
    print(f"due {rate:,.0f} times a second{_course(made)}{_faults(made)}")


@application.command("devices")
def list_devices(
    fleet: FleetArgument,
    devices: DevicesOption = None,
    qos: QosOption = None,
    slots: Annotated[
        int, typer.Option(min=1, max=100_000, help="of so many processes, each with a SENSORS_SLOT")
    ] = 1,
    ranges: Annotated[
        bool, typer.Option("--ranges", help="as ranges, prefix-{00000..00499}, one a group")
    ] = False,
) -> None:
    """List the names of a fleet's devices, one a line; the broker's users are made from them."""
    with _one_line_errors():
        described = _read(fleet)
        if ranges:
            names = name_ranges(described, devices=devices, slots=slots)
        else:
            # Names are the same at every level: without one, a few devices need not have them all.
            names = device_names(described, devices=devices, qos=qos or "0", slots=slots)
    print("\n".join(names))


@application.command()
def schema() -> None:
    """Print the JSON Schema of fleet files, for editors."""
    print(msgspec.json.format(msgspec.json.encode(msgspec.json.schema(FleetFile))).decode())


@application.command()
def profiles() -> None:
    """List the profiles that a group may have."""
    for profile in PROFILES.values():
        measurements = ", ".join(measurement.name for measurement in profile.measurements)
        print(f"{profile.name} ({measurements}): {profile.about}")


def _course(fleet: Fleet) -> str:
    seconds = Course(fleet.stages).seconds or fleet.run.duration_s
    stages = f" in {len(fleet.stages)} stages" if fleet.stages else ""
    return "" if seconds is None else f", for {seconds:g} s{stages}"


def _faults(fleet: Fleet) -> str:
    plans = (plan for device in fleet.devices for plan in device.habits.faults)
    names = sorted({str(plan.__struct_config__.tag) for plan in plans})
    return f"; faults: {', '.join(names)}" if names else ""


async def _run(fleet: Fleet, settings: SensorsSettings, duration: float | None) -> Report:
    # Parts of a run hold events of the running loop, so it is made inside it.
    fleet_run = FleetRun(fleet, settings)
    async with live_view(fleet_run, duration):
        return await fleet_run.run(duration)


def _read(fleet: str) -> FleetFile:
    return read_fleet_file(find_fleet(fleet))


def _check_client_id(fleet: Fleet, settings: SensorsSettings) -> None:
    if any(device.name == settings.client_id for device in fleet.devices):
        raise SettingError(
            f"SENSORS_CLIENT_ID={settings.client_id!r}: a device of the fleet has that name; "
            "another one is allowed"
        )


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (FleetError, SettingError, TooFewDescriptors, OSError) as error:
        for line in str(error).splitlines():
            print(f"sensors: {line}", file=sys.stderr)
        raise typer.Exit(2) from error


def main() -> None:
    application()


if __name__ == "__main__":
    main()
