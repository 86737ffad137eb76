"""What `make deploy` is told; what was told once is remembered for the calls that follow."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import msgspec
from msgspec import Meta

import telemetry
from telemetry.private_files import write_private
from telemetry.reading import Name
from telemetry.settings import Settings, declarations

MOST_APIS = 32
"""For as many `front` has room in its table; more would never be asked anything."""

Replicas = Annotated[int, Meta(ge=0, le=1_000)]
Port = Annotated[int, Meta(ge=1, le=65_535)]
Via = Literal["mqtt", "tcp", "unix", "udp", "unixgram", "folder", "database", "http"]
_REMEMBERED = "deployment.json"
# They say which deployment is meant, and are no part of it.
_NAMING = ("stack", "state_dir")


class DeploySettings(Settings, frozen=True, kw_only=True):
    """One deployment: how large it is, where it listens, which images it runs."""

    prefix: ClassVar[str] = "DENYUT"

    stack: Annotated[Name, Meta(description="the stack's name in the Swarm")] = "denyut"
    state_dir: Annotated[
        str,
        Meta(
            description="the folder of secrets, certificates and remembered settings; empty for "
            "`denyut` in XDG_DATA_HOME or ~/.local/share"
        ),
    ] = ""
    version: Annotated[str, Meta(description="the tag of our images")] = telemetry.__version__
    registry: Annotated[
        str,
        Meta(description="where our images come from, as `registry.example:5000/`; empty: here"),
    ] = ""
    influxdb_image: Annotated[str, Meta(description="InfluxDB 2.7 to 2.9")] = "influxdb:2.9.1"
    front_image: Annotated[str, Meta(description="HAProxy 3.0 or newer")] = "haproxy:3.0.11"
    grafana_image: Annotated[str, Meta(description="Grafana")] = "grafana/grafana:12.1.1"
    fleet: Annotated[
        str, Meta(description="a fleet file, or the name of one that comes with the sensors")
    ] = "demo"
    devices: Annotated[
        int, Meta(ge=1, le=10_000, description="devices that each sensors task simulates")
    ] = 100
    max_sensors: Annotated[
        int,
        Meta(ge=1, le=1_000, description="sensors tasks whose devices the broker lets in"),
    ] = 10
    devices_file: Annotated[
        str,
        Meta(
            description="a file of further devices that the broker lets in: names or ranges as "
            "`meter-{00..99}`, one a line"
        ),
    ] = ""
    sensors: Annotated[Replicas, Meta(description="sensors tasks")] = 1
    ingest: Annotated[Replicas, Meta(description="ingest tasks, which share the load")] = 1
    api: Annotated[int, Meta(ge=0, le=MOST_APIS, description="API tasks")] = 2
    grafana: Annotated[int, Meta(ge=0, le=1, description="Grafana tasks")] = 1
    alert_email: Annotated[
        str,
        Meta(
            pattern=r"^[^\s@;,]+@[^\s@;,]+([;,][^\s@;,]+@[^\s@;,]+)*$",
            description="to whom Grafana's alerts go, by the mail server that GF_SMTP_… name",
        ),
    ] = "denyut@localhost"
    runbooks_url: Annotated[
        str,
        Meta(description="where docs/runbooks can be read in a browser; empty: alerts name files"),
    ] = ""
    hosts: Annotated[
        str, Meta(description="names and addresses by which people and devices reach the stack")
    ] = "localhost 127.0.0.1"
    https_port: Annotated[Port, Meta(description="where the API and Grafana are published")] = 8443
    mqtt_port: Annotated[Port, Meta(description="where the broker is published, with TLS")] = 8883
    mtls: Annotated[
        bool, Meta(description="whether devices also show a certificate of the authority")
    ] = False
    authority_certificate: Annotated[
        str, Meta(description="the file of an authority of one's own; empty: one is made")
    ] = ""
    authority_key: Annotated[str, Meta(description="the file of its key, ECDSA as PEM")] = ""
    rate: Annotated[int, Meta(ge=1, le=1_000_000, description="the peak of readings a second")] = (
        5_000
    )
    outage_seconds: Annotated[
        int, Meta(ge=1, le=86_400, description="for how long the broker keeps them without ingest")
    ] = 120
    retention_days: Annotated[
        int, Meta(ge=1, le=36_500, description="how long readings are kept")
    ] = 30
    broker_host: Annotated[
        str, Meta(description="an MQTT 5 broker outside the stack, by TLS; empty: the stack's own")
    ] = ""
    broker_port: Annotated[Port, Meta(description="its port")] = 8883
    broker_ca: Annotated[
        str, Meta(description="the file of the authority that its certificate is of")
    ] = ""
    via: Annotated[
        Via, Meta(description="the way that readings of the stack's own devices take to ingest")
    ] = "mqtt"
    ledger: Annotated[
        bool, Meta(description="whether devices keep a ledger, so that the audit can be run")
    ] = False
    overlays: Annotated[
        str,
        Meta(description="names of overlays, separated by spaces; `auto` chooses those that fit"),
    ] = "auto"
    ready_seconds: Annotated[
        float, Meta(ge=1, le=3_600, description="how long a service may take to become ready")
    ] = 180.0
    health_interval_ms: Annotated[
        int, Meta(ge=500, le=600_000, description="how often each task's health is checked")
    ] = 5_000

    update_monitor_seconds: Annotated[
        int,
        Meta(
            ge=1, le=3_600, description="for how long a new task is watched before the next follows"
        ),
    ] = 20

    @property
    def image_prefix(self) -> str:
        """What stands before the names of our images."""
        return f"{self.registry.rstrip('/')}/" if self.registry else ""

    def image(self, service: str) -> str:
        """Return the name and tag of one of our images."""
        return f"{self.image_prefix}denyut/{service}:{self.version}"

    @property
    def variables(self) -> dict[str, str]:
        """The stack file's variables, less the names of secrets and configs."""
        client = "/run/secrets/client-" if self.mtls else ""
        return {
            "REGISTRY": self.image_prefix,
            "VERSION": self.version,
            "INFLUXDB_IMAGE": self.influxdb_image,
            "FRONT_IMAGE": self.front_image,
            "GRAFANA_IMAGE": self.grafana_image,
            "ALERT_EMAIL": self.alert_email,
            "DEVICES": str(self.devices),
            "SENSORS_REPLICAS": str(self.sensors),
            "INGEST_REPLICAS": str(self.ingest),
            "API_REPLICAS": str(self.api),
            "GRAFANA_REPLICAS": str(self.grafana),
            "BROKER_REPLICAS": "0" if self.broker_host else "1",
            "BROKER_HOST": self.broker_host or "broker",
            "BROKER_PORT": str(self.broker_port),
            "HTTPS_PORT": str(self.https_port),
            "MQTT_PORT": str(self.mqtt_port),
            "MTLS": "true" if self.mtls else "false",
            "CLIENT_CERTIFICATE_FILE": f"{client}certificate" if client else "",
            "CLIENT_KEY_FILE": f"{client}key" if client else "",
            "RATE": str(self.rate),
            "OUTAGE_SECONDS": str(self.outage_seconds),
            "RETENTION_HOURS": str(self.retention_days * 24),
            "LEDGER_DIR": "/data/ledger" if self.ledger else "",
            "HEALTH_INTERVAL": f"{self.health_interval_ms}ms",
            "UPDATE_MONITOR": f"{self.update_monitor_seconds}s",
        }

    @property
    def folder(self) -> Path:
        """Where this stack's secrets and remembered settings are."""
        data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        root = Path(self.state_dir) if self.state_dir else Path(data) / "denyut"
        return root / self.stack

    @classmethod
    def remembered(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Return what the environment says, and for all else what was said before."""
        folder = cls.load(environment).folder
        return cls.load({**_recall(folder), **environment})

    def remember(self) -> None:
        """Keep what differs from the defaults, for the calls that follow."""
        kept: dict[str, str] = {}
        for declared in declarations(type(self)):
            value = getattr(self, declared.name)
            if declared.name not in _NAMING and value != declared.default:
                kept[declared.variable] = (
                    str(value).lower() if isinstance(value, bool) else str(value)
                )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(
            self.folder / _REMEMBERED, msgspec.json.format(msgspec.json.encode(kept)).decode()
        )


def _recall(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / _REMEMBERED).read_bytes(), type=dict[str, str])
    except FileNotFoundError:
        return {}
