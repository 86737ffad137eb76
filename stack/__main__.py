"""Run the whole pipeline on this machine: once, with a report, or until stopped."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from stack import StackError
from stack.broker import MosquittoMissing
from stack.demo import DemoRequest, run_demo
from stack.influxdb import InfluxdMissing
from stack.interrupts import stop_by_signals
from stack.ports import PortTaken
from stack.postgresql import PostgresqlMissing
from stack.run import run_until_stopped
from stack.ways import MQTT, WAYS
from telemetry.settings import SettingError

application = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_show_locals=False, help=__doc__
)

DEMO_REPORT = Path("build/demo.json")
_FAILED, _REFUSED, _INTERRUPTED = 1, 2, 130


class Qos(StrEnum):
    mixed = "mixed"
    at_most_once = "0"
    at_least_once = "1"
    exactly_once = "2"


class StoreKind(StrEnum):
    sqlite = "sqlite"
    influxdb = "influxdb"


FleetOption = Annotated[str, typer.Option(help="a fleet file, or the name of one that comes along")]
DevicesOption = Annotated[int, typer.Option(min=1, max=10_000, help="how many devices publish")]
QosOption = Annotated[
    Qos | None,
    typer.Option(help="the level at which they publish: mixed, or 0 where a way has no answers"),
]
ViaOption = Annotated[
    str, typer.Option(help=f"the way that readings take: {', '.join((MQTT, *WAYS))}")
]
StoreOption = Annotated[StoreKind, typer.Option(help="where readings are stored")]


@application.command()
def demo(
    fleet: FleetOption = "demo",
    devices: DevicesOption = 100,
    duration: Annotated[float, typer.Option(min=1, help="for how many seconds")] = 30,
    qos: QosOption = None,
    via: ViaOption = MQTT,
    store: StoreOption = StoreKind.sqlite,
    report: Annotated[Path, typer.Option(help="where the report is left")] = DEMO_REPORT,
) -> None:
    """Send a fleet's readings through the whole pipeline and print the delivery report.

    Exit code 1 where a reading that was acknowledged is missing.
    """
    request = DemoRequest(
        fleet=_fleet(fleet),
        devices=devices,
        duration_seconds=duration,
        qos=qos and qos.value,
        via=via,
        store=store.value,
        report=report,
    )
    raise typer.Exit(run_demo(request, Console()))


@application.command()
def run(
    fleet: FleetOption = "demo",
    devices: DevicesOption = 100,
    qos: QosOption = None,
    via: ViaOption = MQTT,
    store: StoreOption = StoreKind.sqlite,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="of the API and its page")] = 8080,
) -> None:
    """Keep the whole pipeline running until Ctrl-C, with the live page; readings are kept."""
    run_until_stopped(
        fleet=_fleet(fleet),
        devices=devices,
        qos=qos and qos.value,
        via=via,
        store=store.value,
        port=port,
    )


def main() -> None:
    stop_by_signals()
    try:
        application(standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    except (InfluxdMissing, MosquittoMissing, PostgresqlMissing, PortTaken, SettingError) as error:
        _fail(error, _REFUSED)
    except StackError as error:
        _fail(error, _FAILED)


def _fail(error: Exception, code: int) -> NoReturn:
    print(error, file=sys.stderr)
    sys.exit(code)


def _fleet(text: str) -> str | Path:
    return Path(text) if Path(text).suffix else text


if __name__ == "__main__":
    main()
