"""The settings of `denyut-grafana`."""

from typing import Annotated, ClassVar

from msgspec import Meta

from telemetry.settings import Secret, Settings


class GrafanaSettings(Settings, frozen=True, kw_only=True):
    """A Grafana that is not ours, and the store as it sees it."""

    prefix: ClassVar[str] = "GRAFANA"

    url: Annotated[
        str,
        Meta(
            pattern=r"^https?://[^/@?#\s]+(/[^@?#\s]*)?$",
            description="its address, as `https://grafana.example/` with the path that it is under",
        ),
    ] = "http://127.0.0.1:3000"
    token: Annotated[Secret, Meta(description="the token of a service account of role Admin")]
    ca_file: Annotated[
        str, Meta(description="the authority of its certificate; empty: those of the system")
    ] = ""
    timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=120, description="how long one request may take")
    ] = 10.0
    store_url: Annotated[
        str,
        Meta(pattern=r"^https?://[^@\s]+$", description="InfluxDB's address, as Grafana sees it"),
    ] = "http://influxdb:8086"
    store_org: Annotated[str, Meta(description="its organisation")] = "denyut"
    store_token: Annotated[
        Secret | None, Meta(description="a token that may read the three buckets, for `push`")
    ] = None
