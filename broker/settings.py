"""The settings of the broker's container; `docs/settings.md` is made from them."""

from typing import Annotated, ClassVar

from msgspec import Meta

from broker.configuration import Load
from telemetry.settings import Secret, Settings

_USUAL = Load()


class BrokerSettings(Settings, frozen=True, kw_only=True):
    """Whom the broker lets in, its certificate, and the load that it has to carry.

    Mosquitto writes its own log lines: of `log_format` only `text` is to be had.
    """

    prefix: ClassVar[str] = "BROKER"

    devices_file: Annotated[
        str,
        Meta(description="the devices: in each line a name, or a range as `press-{00000..00499}`"),
    ]
    fleet_key: Annotated[
        Secret, Meta(description="the key from which each device's password is derived")
    ]
    ingest_password: Annotated[Secret, Meta(description="the password of the user `ingest`")]
    api_password: Annotated[Secret, Meta(description="the password of the user `api`")]
    health_password: Annotated[
        Secret, Meta(description="the password of the user `health`, who does the health check")
    ]
    tls_certificate_file: Annotated[
        str, Meta(description="the broker's certificate and those between it and the authority")
    ]
    tls_key_file: Annotated[str, Meta(description="the key of that certificate")]
    tls_ca_file: Annotated[
        str, Meta(description="the authority whose certificates clients may show; or empty")
    ] = ""
    require_certificate: Annotated[
        bool, Meta(description="whether every client has to show one, besides its password")
    ] = False
    rate: Annotated[int, Meta(ge=1, description="the peak of readings a second")] = (
        _USUAL.readings_per_second
    )
    outage_seconds: Annotated[
        int, Meta(ge=1, description="how long ingest may be away before readings are lost")
    ] = _USUAL.outage_seconds
    payload_bytes: Annotated[int, Meta(ge=1, description="the mean of a message's payload")] = (
        _USUAL.payload_bytes
    )
    host: Annotated[str, Meta(description="the address of the TLS listener")] = "0.0.0.0"  # noqa: S104
    port: Annotated[int, Meta(ge=1, le=65_535, description="the port of the TLS listener")] = 8883
    unix_socket: Annotated[
        str,
        Meta(
            description="a Unix socket where it listens as well, in plaintext, for whoever is in "
            "the group of the file's folder; empty: none"
        ),
    ] = ""
    health_port: Annotated[
        int, Meta(ge=1, le=65_535, description="the plaintext port on loopback, for the check")
    ] = 1883
    data_dir: Annotated[str, Meta(description="the folder of sessions and queues")] = "/data"
    runtime_dir: Annotated[
        str, Meta(description="the folder, best in memory, of what is made at each start")
    ] = "/tmp/denyut"  # noqa: S108 (private_folder sees whose it is)

    def load_for(self, devices: int) -> Load:
        """Return what the broker has to carry with so many devices."""
        return Load(
            readings_per_second=self.rate,
            outage_seconds=self.outage_seconds,
            payload_bytes=self.payload_bytes,
            devices=devices,
        )
