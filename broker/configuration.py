"""Mosquitto's configuration, worked out from the rate to carry and the outage to survive.

Every value that differs from Mosquitto's own default says why (mosquitto.conf(5), 2.0).
"""

from pathlib import Path

from msgspec import Struct

PEAK_READINGS_PER_SECOND = 5_000
OUTAGE_SECONDS = 120
MAX_PAYLOAD_BYTES = 64 * 1024
# A topic of three names of 64 characters, its properties and the fixed header fit in a quarter.
PACKET_OVERHEAD_BYTES = 1024


class BrokerLimits(Struct, frozen=True, kw_only=True):
    """What one Mosquitto bounds.

    Past `max_queued_messages` waiting for one client Mosquitto drops the newest without telling
    its sender. `max_inflight_messages` also bounds a QoS 2 publisher, whose messages beyond it are
    lost uncounted: every publisher must stay below it. A killed broker loses what changed since it
    last saved, which is at most about a second more than `autosave_seconds`; SIGTERM loses nothing.
    """

    max_payload_bytes: int = MAX_PAYLOAD_BYTES
    max_inflight_messages: int = 1_000
    max_queued_messages: int = PEAK_READINGS_PER_SECOND * OUTAGE_SECONDS
    max_connections: int = 12_000
    max_keepalive_seconds: int = 60
    autosave_seconds: int = 1
    sys_interval_seconds: int = 5

    @property
    def max_packet_bytes(self) -> int:
        """The largest MQTT packet that is accepted, with its topic and properties."""
        return self.max_payload_bytes + PACKET_OVERHEAD_BYTES


class BrokerConfiguration(Struct, frozen=True, kw_only=True):
    """Where one Mosquitto listens, which files it uses and what it bounds."""

    host: str
    port: int
    password_file: Path
    acl_file: Path
    persistence_folder: Path
    limits: BrokerLimits = BrokerLimits()

    def text(self) -> str:
        """Return the configuration file."""
        return "".join(f"{name} {value}\n" for name, value in self._lines())

    def _lines(self) -> list[tuple[str, str | int]]:
        return [
            ("per_listener_settings", "false"),
            ("listener", f"{self.port} {self.host}"),
            ("max_connections", self.limits.max_connections),
            *self._access(),
            *self._persistence(),
            *self._bounds(),
            *self._log(),
        ]

    def _access(self) -> list[tuple[str, str | int]]:
        return [
            ("allow_anonymous", "false"),
            ("password_file", str(self.password_file)),
            ("acl_file", str(self.acl_file)),
        ]

    def _persistence(self) -> list[tuple[str, str | int]]:
        return [
            ("persistence", "true"),
            ("persistence_location", f"{self.persistence_folder}/"),
            # Saving at every change rewrites the whole queue each time: with ingest away, 2,500
            # readings a second shrank to 570 at two thirds of a core (3 % of one, by the clock).
            ("autosave_on_changes", "false"),
            ("autosave_interval", self.limits.autosave_seconds),
        ]

    def _bounds(self) -> list[tuple[str, str | int]]:
        return [
            ("max_inflight_messages", self.limits.max_inflight_messages),
            ("max_queued_messages", self.limits.max_queued_messages),
            ("max_packet_size", self.limits.max_packet_bytes),
            ("max_keepalive", self.limits.max_keepalive_seconds),
            # Acknowledgements are small packets: Nagle would hold each for 40 ms.
            ("set_tcp_nodelay", "true"),
        ]

    def _log(self) -> list[tuple[str, str | int]]:
        return [
            ("sys_interval", self.limits.sys_interval_seconds),
            ("log_dest", "stderr"),
            ("log_type", "error"),
            ("log_type", "warning"),
            ("log_type", "notice"),
            ("log_timestamp_format", "%Y-%m-%dT%H:%M:%S"),
        ]
