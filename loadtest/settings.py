"""The settings of the load tests."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from loadtest.objectives import Users
from loadtest.shapes import ShapeName
from telemetry.settings import Secret, Settings
from telemetry.tls import CaFile, CertificateFile, KeyFile

PublisherQos = Literal["mixed", "0", "1", "2"]


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
    streams: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="users that listen to the live stream as a page does, every fourth to the "
            "states of the whole fleet, the others to one device",
        ),
    ] = 4
    stream_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=3_600,
            description="how long each of them stays connected, a quarter of the run at most, "
            "until it comes again to go on from where it was",
        ),
    ] = 60.0
    timeout_seconds: Annotated[
        float,
        Meta(
            ge=0.1, le=300, description="how long one request, or connecting to the broker, takes"
        ),
    ] = 10.0
    publishers: Annotated[
        int,
        Meta(
            ge=0,
            le=10_000,
            description="users that publish over MQTT, as devices `load-SLOT-NUMBER`; they need "
            "the fleet's key",
        ),
    ] = 0
    publisher_rate: Annotated[
        float, Meta(ge=0.001, le=10_000, description="readings a second of each of them")
    ] = 10.0
    publisher_qos: Annotated[
        PublisherQos, Meta(description="their level; `mixed` deals all three out in turn")
    ] = "mixed"
    freshness: Annotated[
        int,
        Meta(ge=0, le=1_000, description="users that publish and wait until the API shows it"),
    ] = 0
    freshness_rate: Annotated[
        float, Meta(ge=0.001, le=100, description="readings a second of each of them")
    ] = 1.0
    freshness_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=600, description="after how long a reading that is not shown failed")
    ] = 10.0
    broker_host: Annotated[str, Meta(description="where the MQTT broker listens")] = "127.0.0.1"
    broker_port: Annotated[int, Meta(ge=1, le=65_535, description="the broker's port")] = 1883
    tls_ca_file: CaFile = ""
    tls_certificate_file: CertificateFile = ""
    tls_key_file: KeyFile = ""
    fleet_key: Annotated[
        Secret | None, Meta(description="the key from which each device's password is derived")
    ] = None
    slot: Annotated[
        int, Meta(ge=1, le=1_000, description="which of several containers this is: part of names")
    ] = 1
    settle_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=3_600,
            description="how long the audit at the end may take, with what is on its way then",
        ),
    ] = 30.0
    spawn_rate: Annotated[
        float, Meta(ge=0.1, le=10_000, description="users that begin in a second")
    ] = 20.0
    duration_seconds: Annotated[
        int, Meta(ge=1, le=604_800, description="how long the run takes, the beginning included")
    ] = 60
    shape: Annotated[
        ShapeName,
        Meta(
            description="how the users come: all of them, in five steps, as a spike, slowly and "
            "for long, or more and more until an objective is missed"
        ),
    ] = "steady"
    limit_step_seconds: Annotated[
        float, Meta(ge=2, le=3_600, description="how long each step of `limit` is measured")
    ] = 15.0
    limit_at_least: Annotated[
        float, Meta(ge=0, description="operations a second that `limit` has to reach")
    ] = 0.0
    processes: Annotated[
        int,
        Meta(
            ge=0,
            le=256,
            description="processes that share the load beside the one that leads; 0: one does all",
        ),
    ] = 0
    tasks: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000,
            description="containers that share the load: that of slot 1 leads, the others work",
        ),
    ] = 1
    master_host: Annotated[
        str,
        Meta(
            description="where the one of slot 1 is to be found, for the others; a name may stand "
            "for the addresses of all of them"
        ),
    ] = "127.0.0.1"
    master_port: Annotated[int, Meta(ge=1, le=65_535, description="its port for workers")] = 5557
    ui: Annotated[
        bool, Meta(description="open Locust's page, where runs begin, instead of one run")
    ] = False
    ui_host: Annotated[str, Meta(description="where the page is served")] = "127.0.0.1"
    ui_port: Annotated[int, Meta(ge=1, le=65_535, description="the page's port")] = 8089
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
        return self.readers + self.streams + self.publishers + self.freshness

    @property
    def hold_seconds(self) -> float:
        """How long a stream is held: it is to be resumed in a short run, too."""
        return min(self.stream_seconds, self.duration_seconds / 4)

    @property
    def taking_part(self) -> frozenset[Users]:
        """Which users there are."""
        counts: dict[Users, int] = {
            "readers": self.readers,
            "streams": self.streams,
            "publishers": self.publishers,
            "freshness": self.freshness,
        }
        return frozenset(users for users, count in counts.items() if count)

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels at which publishers publish, in the order in which they are dealt out."""
        return (0, 1, 2) if self.publisher_qos == "mixed" else (int(self.publisher_qos),)
