"""The settings of the set-up."""

from typing import Annotated, ClassVar

from msgspec import Meta

from stack.setup.plan import Plan
from telemetry.reading import Name
from telemetry.settings import Secret, Settings


class SetupSettings(Settings, frozen=True, kw_only=True):
    """What the set-up of a store is told."""

    prefix: ClassVar[str] = "SETUP"

    url: Annotated[str, Meta(description="InfluxDB's address")] = "http://127.0.0.1:8086"
    operator_token: Annotated[
        Secret, Meta(description="the token that may do everything; chosen at the first set-up")
    ]
    admin_password: Annotated[
        Secret | None, Meta(description="the password of InfluxDB's own page, for the first set-up")
    ] = None
    org: Annotated[Name, Meta(description="the organisation")] = "denyut"
    bucket: Annotated[Name, Meta(description="the bucket of readings")] = "telemetry"
    retention_days: Annotated[
        int, Meta(ge=1, le=36_500, description="how long readings are kept")
    ] = 30

    wait_seconds: Annotated[
        float, Meta(ge=0, le=3600, description="how long `exchange` waits for InfluxDB to answer")
    ] = 60.0

    keep_replaced_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="how long a restore lets those go on reading who read what it replaces",
        ),
    ] = 15.0

    def plan(self) -> Plan:
        """Return what there shall be."""
        return Plan(org=self.org, bucket=self.bucket, retention_days=self.retention_days)
