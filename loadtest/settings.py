"""The settings of the load tests."""

from typing import Annotated, ClassVar

from msgspec import Meta

from telemetry.settings import Secret, Settings


class LoadtestSettings(Settings, frozen=True, kw_only=True):
    """What a load test asks of whom, how much, and where it leaves its results."""

    prefix: ClassVar[str] = "LOADTEST"

    target: Annotated[
        str,
        Meta(
            pattern=r"^https?://[A-Za-z0-9._-]+(:[0-9]{1,5})?\Z",
            description="the address of the API, as `https://localhost:8443`",
        ),
    ] = "http://127.0.0.1:8080"
    ca_file: Annotated[
        str,
        Meta(
            description="a file with the certificate (PEM) of the authority that signs the API's; "
            "empty: those that this machine trusts"
        ),
    ] = ""
    api_key: Annotated[
        Secret | None, Meta(description="the key that requests bring; one that may read is enough")
    ] = None
    readers: Annotated[
        int, Meta(ge=0, le=100_000, description="users that read over HTTP, as a dashboard does")
    ] = 20
    reader_rate: Annotated[
        float, Meta(ge=0.001, le=1_000, description="requests a second of each of them")
    ] = 1.0
    timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=300, description="how long one request may take")
    ] = 10.0
    spawn_rate: Annotated[
        float, Meta(ge=0.1, le=10_000, description="users that begin in a second")
    ] = 20.0
    duration_seconds: Annotated[
        int, Meta(ge=1, le=604_800, description="how long the run takes, the beginning included")
    ] = 60
    processes: Annotated[
        int,
        Meta(
            ge=0,
            le=256,
            description="processes that share the load beside the one that leads; 0: one does all",
        ),
    ] = 0
    objectives: Annotated[
        str, Meta(description="a file of objectives; empty: those that come along")
    ] = ""
    results_dir: Annotated[
        str, Meta(description="the folder of the verdict, the report and the tables")
    ] = "build/loadtest"
    progress_seconds: Annotated[
        float, Meta(ge=1, le=3_600, description="how often a line tells how the run is going")
    ] = 5.0

    @property
    def users(self) -> int:
        """How many users there are at full load."""
        return self.readers
