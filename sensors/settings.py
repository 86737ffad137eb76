"""The settings of the sensors service."""

from typing import Annotated, ClassVar

from msgspec import Meta

from sensors.fleet import QosChoice
from sensors.ways.kinds import WayName
from sensors.ways.settings import WaysSettings
from telemetry.reading import Name
from telemetry.settings import Secret
from telemetry.tls import CaFile, CertificateFile, KeyFile


class SensorsSettings(WaysSettings, frozen=True, kw_only=True):
    """What a process of simulated devices needs to know besides its fleet file."""

    prefix: ClassVar[str] = "SENSORS"

    fleet: Annotated[
        str, Meta(description="a fleet file, or the name of a shipped fleet; for `run` without one")
    ] = "demo"
    devices: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="scale the fleet to this number of devices, as `--devices` does"),
    ] = None
    qos: Annotated[
        QosChoice | None,
        Meta(description="publish at this level instead of the file's, as `--qos` does"),
    ] = None
    slot: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="which of several processes of one fleet this is: each slot has as many "
            "devices, under names of its own",
        ),
    ] = 1
    via: Annotated[
        WayName, Meta(description="the way that readings take to ingest, as `--via` does")
    ] = "mqtt"
    broker_host: Annotated[str, Meta(description="where the MQTT broker listens")] = "127.0.0.1"
    broker_port: Annotated[int, Meta(ge=1, le=65535, description="the broker's port")] = 1883
    broker_socket: Annotated[
        str | None, Meta(description="the broker's Unix socket, instead of its host and port")
    ] = None
    tls_ca_file: CaFile = ""
    tls_certificate_file: CertificateFile = ""
    tls_key_file: KeyFile = ""
    fleet_key: Annotated[
        Secret | None,
        Meta(description="the key from which each device's password is derived, over MQTT"),
    ] = None
    client_id: Annotated[
        Name,
        Meta(description="the user and device name under which this process sends own figures"),
    ] = "sensors-1"
    ledger_dir: Annotated[
        str | None,
        Meta(description="the folder for the ledger of this run; empty: none is kept"),
    ] = None
    http_host: Annotated[str, Meta(description="where health and metrics are served")] = "127.0.0.1"
    http_port: Annotated[
        int, Meta(ge=0, le=65535, description="the port of health and metrics; 0 takes a free one")
    ] = 9102
    figures_interval_ms: Annotated[
        int, Meta(ge=100, le=3_600_000, description="how often the process sends its own figures")
    ] = 10_000
    outbox_readings: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="unacknowledged readings that each device keeps in memory; past that the "
            "oldest goes, or with `OUTBOX_DIR` the newest wait on disk",
        ),
    ] = 600
    outbox_dir: Annotated[
        str | None,
        Meta(
            description="the folder in which unacknowledged readings survive the process; "
            "empty: they are in memory alone"
        ),
    ] = None
    outbox_bytes: Annotated[
        int,
        Meta(ge=1_000_000, description="the disk's budget for them; the oldest go, counted"),
    ] = 256_000_000
    outbox_sync_interval_ms: Annotated[
        int,
        Meta(
            ge=0,
            le=3_600_000,
            description="how often they are synced, so that they survive the machine; 0: never",
        ),
    ] = 1_000
    connects_at_once: Annotated[
        int, Meta(ge=1, le=500, description="devices that may be connecting at one time")
    ] = 50
    keepalive_seconds: Annotated[
        int, Meta(ge=1, le=65535, description="the MQTT keepalive of each device")
    ] = 10
    connect_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=300, description="how long a connection attempt may take")
    ] = 5.0
    start_timeout_seconds: Annotated[
        float,
        Meta(ge=0, le=3600, description="how long to wait for all devices before readings begin"),
    ] = 30.0
    drain_seconds: Annotated[
        float,
        Meta(ge=0, le=3600, description="how long the outboxes may empty themselves at the end"),
    ] = 10.0
