"""The settings by which every service finds its store."""

from typing import Annotated

from msgspec import Meta

from telemetry.reading import Name
from telemetry.settings import Secret, Settings


class StoreSettings(Settings, frozen=True, kw_only=True):
    """Where the store is, and how long it may take."""

    store_url: Annotated[
        str, Meta(description="the store: `http://HOST:8086` is InfluxDB, `sqlite:///PATH` a file")
    ]
    store_org: Annotated[Name, Meta(description="InfluxDB's organisation")] = "denyut"
    store_bucket: Annotated[Name, Meta(description="InfluxDB's bucket of readings")] = "telemetry"
    store_token: Annotated[
        Secret | None, Meta(description="InfluxDB's token; a new one in its file is noticed")
    ] = None
    store_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=120, description="how long the store may take to answer")
    ] = 10.0
