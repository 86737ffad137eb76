"""The API's settings."""

from typing import Annotated, ClassVar

from msgspec import Meta

from telemetry.reading import Name
from telemetry.settings import Secret
from telemetry.store.settings import StoreSettings
from telemetry.tls import CaFile, CertificateFile, KeyFile

_SPARE_THREADS = 16


class ApiSettings(StoreSettings, frozen=True, kw_only=True):
    """What the API can be told; in the environment each has the prefix `API_`."""

    prefix: ClassVar[str] = "API"

    store_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=120, description="how long one question to the store may take")
    ] = 5.0
    http_host: Annotated[
        str,
        Meta(description="the address to listen on; any but a loopback one wants `API_KEYS_FILE`"),
    ] = "127.0.0.1"
    http_port: Annotated[int, Meta(ge=0, le=65_535, description="the port; 0 is a free one")] = 8080
    keys_file: Annotated[
        str,
        Meta(
            description="the file of API keys (`python -m api keys`), read again when it changes; "
            "without one nobody is asked for a key"
        ),
    ] = ""
    open: Annotated[
        bool,
        Meta(
            description="let everybody who reaches the API read everything, without a key, also "
            "where that is not only this machine"
        ),
    ] = False
    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="how long it goes on answering after SIGTERM, with `/readyz` at 503, so "
            "that what stands in front sends to others first",
        ),
    ] = 3.0
    threads: Annotated[
        int, Meta(ge=1, le=128, description="how many questions the store is asked at once")
    ] = 8
    max_tables: Annotated[
        int,
        Meta(
            ge=1,
            le=64,
            description="how many answers as CSV or NDJSON are sent at once; more are refused with "
            "429. Each holds some 20 MB",
        ),
    ] = 3
    max_waiting: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000,
            description="how many questions wait while `API_THREADS` others are with the store; "
            "more are refused with 429",
        ),
    ] = 16
    max_key_requests: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000,
            description="how many requests of one key are in progress at once, more are refused "
            "with 429; 0: any number",
        ),
    ] = 0
    cors_origins: Annotated[
        str,
        Meta(
            description="the origins whose pages may ask, as `https://example.org`, separated by "
            "commas; `*` is any, and without one only the API's own page may"
        ),
    ] = ""
    broker_host: Annotated[str, Meta(description="the MQTT broker's address")] = "127.0.0.1"
    broker_port: Annotated[int, Meta(ge=1, le=65_535, description="the MQTT broker's port")] = 1883
    tls_ca_file: CaFile = ""
    tls_certificate_file: CertificateFile = ""
    tls_key_file: KeyFile = ""
    username: Annotated[str, Meta(description="the API's user name at the broker")] = "api"
    password: Annotated[
        Secret | None, Meta(description="its password; without one it connects anonymously")
    ] = None
    client_id: Annotated[
        Name,
        Meta(description="its device name among own figures, and how its MQTT client id begins"),
    ] = "api-1"
    figures_interval_ms: Annotated[
        int, Meta(ge=100, le=3_600_000, description="how often its own figures are published")
    ] = 10_000
    gaps_interval_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86_400,
            description="how often gaps are counted for its own figures, at a fiftieth of the time "
            "at most; 0: never",
        ),
    ] = 60.0
    history_ms: Annotated[
        int, Meta(ge=10_000, le=3_600_000, description="how far back the fleet's history goes")
    ] = 600_000
    cache_ms: Annotated[
        int,
        Meta(ge=0, le=60_000, description="how long an answer is given again unasked; 0: never"),
    ] = 500
    max_cached_answers: Annotated[
        int, Meta(ge=1, le=1_000_000, description="how many answers are kept")
    ] = 1_000
    max_points: Annotated[
        int, Meta(ge=1, le=1_000_000, description="the most readings or intervals in one answer")
    ] = 10_000
    max_range_hours: Annotated[
        int, Meta(ge=1, le=87_600, description="the longest range that may be asked")
    ] = 744
    max_streams: Annotated[
        int, Meta(ge=0, le=2_000, description="how many live streams may be open at once")
    ] = 200
    stream_queue_bytes: Annotated[
        int,
        Meta(
            ge=10_000,
            le=1_000_000_000,
            description="how much may wait for the reader of a stream before it is dropped",
        ),
    ] = 4_000_000
    stream_queue_events: Annotated[
        int, Meta(ge=10, le=10_000_000, description="how many events may wait likewise")
    ] = 20_000
    stream_heartbeat_seconds: Annotated[
        float, Meta(ge=0.1, le=300, description="after how much silence a stream says it is alive")
    ] = 15.0
    stream_send_seconds: Annotated[
        float,
        Meta(ge=0.1, le=300, description="how long one write to a stream's reader may take"),
    ] = 20.0
    stream_overlap_seconds: Annotated[
        float,
        Meta(
            ge=0.1,
            le=600,
            description="how much earlier than where a stream was lost the store is read again, "
            "and how often until it is complete",
        ),
    ] = 20.0
    stream_catch_up_seconds: Annotated[
        float,
        Meta(ge=1, le=604_800, description="how far back a stream is filled from the store"),
    ] = 3_600.0
    stream_catch_up_readings: Annotated[
        int,
        Meta(ge=1, le=10_000_000, description="with how many readings at most, at one look"),
    ] = 100_000
    max_commands: Annotated[
        int, Meta(ge=0, le=128, description="how many commands may wait for their devices at once")
    ] = 16
    command_timeout_seconds: Annotated[
        float, Meta(ge=0.1, le=60, description="how long a device may take to answer a command")
    ] = 5.0
    max_devices: Annotated[
        int, Meta(ge=1, le=10_000_000, description="how many devices' states are kept")
    ] = 100_000

    @property
    def server_threads(self) -> int:
        """How many requests the server takes at once: those with the store, those that wait (each
        at either gate, api/gates.py), and some more, so that refusals and health never wait.

        A stream and a table hold one for as long as they are open, and a command until its device
        has answered.
        """
        asking = 2 * (self.threads + self.max_waiting) + _SPARE_THREADS
        return asking + self.max_streams + self.max_commands + self.max_tables
