"""The set-up's command line: `denyut-setup influxdb`, `denyut-setup rollup`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, ClassVar

import typer
from msgspec import Meta
from rich.progress import track

from stack.setup.influxdb import InfluxSetup, Plan, SetupError
from telemetry.reading import Name
from telemetry.settings import Secret, SettingError, Settings


class SetupSettings(Settings, frozen=True, kw_only=True):
    """What the set-up of a store is told."""

    prefix: ClassVar[str] = "SETUP"

    url: Annotated[str, Meta(description="InfluxDB's address")] = "http://127.0.0.1:8086"
    operator_token: Annotated[
        Secret, Meta(description="the token that may do everything; chosen at the first set-up")
    ]
    admin_password: Annotated[
        Secret, Meta(description="the password of InfluxDB's own page, for the first set-up")
    ]
    org: Annotated[Name, Meta(description="the organisation")] = "denyut"
    bucket: Annotated[Name, Meta(description="the bucket of readings")] = "telemetry"
    retention_days: Annotated[
        int, Meta(ge=1, le=36_500, description="how long readings are kept")
    ] = 30

    def plan(self) -> Plan:
        """Return what there shall be."""
        return Plan(org=self.org, bucket=self.bucket, retention_days=self.retention_days)


application = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Make a store ready for the services. Settings: docs/settings.md, SETUP_…",
)


@application.command()
def influxdb(
    tokens: Annotated[
        Path, typer.Option(help="the folder that gets a file with each service's token")
    ] = Path("data/tokens"),
) -> None:
    """Make organisation, buckets, downsampling tasks and tokens; a second run changes nothing."""
    with _one_line_errors():
        settings = SetupSettings.load()
        setup = InfluxSetup(settings.url, settings.operator_token, settings.plan())
        changes = 0
        for change in setup.apply(tokens, settings.admin_password):
            print(change)
            changes += 1
        setup.close()
    print("every token does what it may, and nothing else" + ("" if changes else "; no change"))


@application.command("rollup")
def roll_up(
    start: Annotated[
        datetime, typer.Option("--from", help="UTC; minutes and hours from here on are made again")
    ],
) -> None:
    """Make minutes and hours again, as after readings that came more than an hour late."""
    with _one_line_errors():
        settings = SetupSettings.load()
        setup = InfluxSetup(settings.url, settings.operator_token, settings.plan())
        since = start.replace(tzinfo=UTC) if start.tzinfo is None else start
        hours = int((datetime.now(UTC) - since).total_seconds() // 3600) + 1
        for _hour in track(
            setup.roll_up(since), total=hours, description="hours", disable=hours < 2
        ):
            pass
        setup.close()


@contextmanager
def _one_line_errors() -> Iterator[None]:
    try:
        yield
    except (SetupError, SettingError, OSError) as error:
        print(f"denyut-setup: {error}", file=sys.stderr)
        raise typer.Exit(2) from error


def main() -> None:
    application()


if __name__ == "__main__":
    main()
