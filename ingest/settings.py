"""The settings of ingest; `docs/settings.md` is made from them."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from ingest.ways_settings import WaysSettings
from telemetry.latency import OBJECTIVE_MS
from telemetry.reading import Name
from telemetry.settings import Secret, SettingError
from telemetry.tls import CaFile, CertificateFile, KeyFile
from telemetry.topics import READINGS

DEFAULT_DATA_DIR = "data/ingest"
Port = Annotated[int, Meta(ge=0, le=65_535)]


class IngestSettings(WaysSettings, frozen=True, kw_only=True):
    """Where readings come from, where they go, and how many may be on the way."""

    prefix: ClassVar[str] = "INGEST"

    broker_host: Annotated[str, Meta(description="the broker's host name or address")] = "127.0.0.1"
    broker_port: Annotated[int, Meta(ge=1, le=65_535, description="the broker's port")] = 1883
    tls_ca_file: CaFile = ""
    tls_certificate_file: CertificateFile = ""
    tls_key_file: KeyFile = ""
    username: Annotated[str, Meta(description="the user name at the broker")] = "ingest"
    password: Annotated[Secret | None, Meta(description="the password at the broker")] = None
    client_id: Annotated[
        Name,
        Meta(description="names the durable session; each replica has its own and keeps it"),
    ] = "ingest-1"
    topics: Annotated[
        str,
        Meta(
            description="topic templates, separated by semicolons; behind a template stand what its"
            " topics lack, as in `zigbee2mqtt/{device} site=home measurement=zigbee`"
            " (docs/payloads.md)"
        ),
    ] = READINGS
    share_group: Annotated[
        Name | Literal[""],
        Meta(description="the group among whose members the broker deals messages; empty for one"),
    ] = ""
    session_expiry_seconds: Annotated[
        int,
        Meta(
            ge=0,
            le=0xFFFF_FFFF,
            description="how long the broker keeps the session, and what it holds for it; "
            "4294967295: until ingest leaves (docs/decisions/0021)",
        ),
    ] = 0xFFFF_FFFF
    keepalive_seconds: Annotated[int, Meta(ge=2, le=600, description="MQTT keepalive")] = 10
    connect_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=120, description="how long a connection may take to be accepted")
    ] = 10.0
    receive_maximum: Annotated[
        int,
        Meta(ge=1, le=65_535, description="unacknowledged messages asked of the broker at once"),
    ] = 20_000
    data_dir: Annotated[
        str, Meta(description="the folder of spool, quarantine and the session's memory")
    ] = DEFAULT_DATA_DIR
    spool_dir: Annotated[
        str, Meta(description="the folder of the spool; empty for `spool` in the data folder")
    ] = ""
    spool_bytes: Annotated[
        int, Meta(ge=1_000_000, description="the spool's disk budget; past it reading stops")
    ] = 1_000_000_000
    spool_after_ms: Annotated[
        int,
        Meta(
            ge=0, le=3_600_000, description="how long the store may be away before batches go there"
        ),
    ] = 5_000
    quarantine_dir: Annotated[
        str, Meta(description="the folder of the quarantine; empty for `quarantine` likewise")
    ] = ""
    quarantine_bytes: Annotated[
        int, Meta(ge=1_000_000, description="the quarantine's disk budget; its oldest file goes")
    ] = 64_000_000
    flush_interval_ms: Annotated[
        int,
        Meta(
            ge=1, le=60_000, description="how long a reading waits for others of its batch, at most"
        ),
    ] = 100
    batch_readings: Annotated[
        int, Meta(ge=1, le=100_000, description="readings in a batch, about")
    ] = 5_000
    held_readings: Annotated[
        int, Meta(ge=100, description="readings held in memory before reading stops")
    ] = 50_000
    held_bytes: Annotated[
        int, Meta(ge=100_000, description="payload bytes held in memory before reading stops")
    ] = 32_000_000
    payload_bytes: Annotated[
        int, Meta(ge=64, le=268_435_455, description="a larger payload is quarantined")
    ] = 65_536
    latency_objective_ms: Annotated[
        int,
        Meta(ge=1, le=3_600_000, description="a reading stored later than this counts as slow"),
    ] = OBJECTIVE_MS
    retention_hours: Annotated[
        int, Meta(ge=1, le=876_000, description="a reading older than this is quarantined")
    ] = 720
    stop_seconds: Annotated[
        float, Meta(ge=0, le=300, description="how long a stop may take to write what is held")
    ] = 7.0
    figures_interval_ms: Annotated[
        int, Meta(ge=100, le=3_600_000, description="how often its own figures are stored")
    ] = 10_000
    http_host: Annotated[str, Meta(description="where health and metrics are served")] = "127.0.0.1"
    http_port: Annotated[Port, Meta(description="the port of health and metrics; 0 is any")] = 9101

    @property
    def broker_password(self) -> Secret:
        """The password at the broker; SettingError where there is none."""
        if self.password is None:
            raise SettingError(
                "INGEST_PASSWORD (or INGEST_PASSWORD_FILE) is not set: the password at the broker"
            )
        return self.password

    @property
    def spool_folder(self) -> Path:
        """Where the spool is."""
        return Path(self.spool_dir) if self.spool_dir else Path(self.data_dir) / "spool"

    @property
    def quarantine_folder(self) -> Path:
        """Where the quarantine is."""
        return (
            Path(self.quarantine_dir) if self.quarantine_dir else Path(self.data_dir) / "quarantine"
        )
