"""Mosquitto's configuration, worked out from the rate to carry and the outage to survive.

Every value that differs from Mosquitto's own default says why (mosquitto.conf(5), 2.0).
"""

from pathlib import Path

from msgspec import Struct

from telemetry.settings import LogLevel

# A topic of three names of 64 characters, its properties and the fixed header fit in a quarter.
PACKET_OVERHEAD_BYTES = 1024

# Mosquitto keeps its bounds in numbers of 32 bits.
MOST_QUEUED_MESSAGES = 2**31 - 1

# Measured on Mosquitto 2.0.11: what a queued message takes besides its payload.
QUEUED_MESSAGE_MEMORY_BYTES = 390
QUEUED_MESSAGE_DISK_BYTES = 100

# How long a subscriber may take to acknowledge a message: ingest's batch, and the store.
_ANSWER_SECONDS = 0.2
_LEAST_INFLIGHT_MESSAGES = 100
_ROOM_FOR_RECONNECTS = 1.2  # connections that broke and that the broker still takes for alive


# Who comes and goes, and why somebody is refused, Mosquitto tells as notices.
_LOG_TYPES: dict[LogLevel, tuple[str, ...]] = {
    "error": ("error",),
    "warning": ("error", "warning"),
    "info": ("error", "warning", "notice"),
    "debug": ("all",),
}


class Load(Struct, frozen=True, kw_only=True):
    """What one broker has to carry, and how long an outage of ingest it has to survive.

    `payload_bytes` is the mean of a message's payload; our own devices' are 100 to 200 bytes.
    """

    readings_per_second: int = 5_000
    outage_seconds: int = 120
    payload_bytes: int = 512
    devices: int = 10_000

    @property
    def queued_messages(self) -> int:
        """The readings at QoS 1 and 2 of the outage, were all at these levels."""
        return self.readings_per_second * self.outage_seconds

    @property
    def queued_bytes(self) -> int:
        """Their payloads together."""
        return self.queued_messages * self.payload_bytes

    @property
    def inflight_messages(self) -> int:
        """What is on its way to a subscriber that names no Receive Maximum of its own."""
        return max(_LEAST_INFLIGHT_MESSAGES, round(self.readings_per_second * _ANSWER_SECONDS))

    @property
    def connections(self) -> int:
        """The devices' connections, and some that are not yet known to be dead."""
        return round(self.devices * _ROOM_FOR_RECONNECTS)


_USUAL = Load()


class BrokerLimits(Struct, frozen=True, kw_only=True):
    """What one Mosquitto bounds; `for_load` works it out from the load.

    Past `max_queued_messages` or `max_queued_bytes` waiting for one client Mosquitto drops the
    newest without telling its sender. `max_inflight_messages` also bounds a QoS 2 publisher, whose
    messages beyond it are lost uncounted: every publisher must stay below it. A killed broker loses
    what changed since it last saved, which is at most about a second more than `autosave_seconds`;
    SIGTERM loses nothing.
    """

    max_payload_bytes: int = 64 * 1024
    max_inflight_messages: int = _USUAL.inflight_messages
    max_queued_messages: int = _USUAL.queued_messages
    max_queued_bytes: int = _USUAL.queued_bytes
    max_connections: int = _USUAL.connections
    max_keepalive_seconds: int = 60
    autosave_seconds: int = 1
    sys_interval_seconds: int = 5

    @classmethod
    def for_load(cls, load: Load) -> "BrokerLimits":
        """Return the limits that carry a load."""
        return cls(
            max_inflight_messages=load.inflight_messages,
            max_queued_messages=load.queued_messages,
            max_queued_bytes=load.queued_bytes,
            max_connections=load.connections,
        )

    @property
    def max_packet_bytes(self) -> int:
        """The largest MQTT packet that is accepted, with its topic and properties."""
        return self.max_payload_bytes + PACKET_OVERHEAD_BYTES

    @property
    def full_queue_memory_bytes(self) -> int:
        """The memory that one full queue takes: so much must the broker's host have to spare."""
        return self.max_queued_bytes + self.max_queued_messages * QUEUED_MESSAGE_MEMORY_BYTES

    @property
    def full_queue_disk_bytes(self) -> int:
        """What each saving writes while one queue is full; the broker stands still for it."""
        return self.max_queued_bytes + self.max_queued_messages * QUEUED_MESSAGE_DISK_BYTES


class ListenerTls(Struct, frozen=True, kw_only=True):
    """The PEM files of a TLS listener; with `require_certificate` clients show one of `ca_file`."""

    certificate_file: Path
    key_file: Path
    ca_file: Path | None = None
    require_certificate: bool = False

    def __post_init__(self) -> None:
        if self.require_certificate and self.ca_file is None:
            raise ValueError("clients' certificates can be required only with an authority's file")


class Listener(Struct, frozen=True):
    """An address and port; plaintext without `tls`."""

    host: str
    port: int
    tls: ListenerTls | None = None


class SocketFile(Struct, frozen=True):
    """A Unix socket to listen at, in plaintext; who may connect is a matter of the file's mode."""

    path: Path


class BrokerConfiguration(Struct, frozen=True, kw_only=True):
    """Where one Mosquitto listens, which files it uses and what it bounds."""

    listeners: tuple[Listener | SocketFile, ...]
    password_file: Path
    acl_file: Path
    persistence_folder: Path
    limits: BrokerLimits = BrokerLimits()
    log_level: LogLevel = "info"

    def text(self) -> str:
        """Return the configuration file."""
        return "".join(f"{name} {value}\n" for name, value in self._lines())

    def _lines(self) -> list[tuple[str, str | int]]:
        return [
            ("per_listener_settings", "false"),
            *self._access(),
            *self._persistence(),
            *self._bounds(),
            *self._log(),
            # Last: what follows a listener may be taken for its own.
            *(line for listener in self.listeners for line in self._listener(listener)),
        ]

    def _listener(self, listener: Listener | SocketFile) -> list[tuple[str, str | int]]:
        if isinstance(listener, SocketFile):
            return [
                ("listener", f"0 {listener.path}"),
                ("max_connections", self.limits.max_connections),
            ]
        lines: list[tuple[str, str | int]] = [
            ("listener", f"{listener.port} {listener.host}"),
            ("max_connections", self.limits.max_connections),
        ]
        if listener.tls is not None:
            lines += [
                ("certfile", str(listener.tls.certificate_file)),
                ("keyfile", str(listener.tls.key_file)),
                ("require_certificate", "true" if listener.tls.require_certificate else "false"),
            ]
            if listener.tls.ca_file is not None:
                lines.append(("cafile", str(listener.tls.ca_file)))
        return lines

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
            # A queue of the largest payloads would take 40 GB: whichever is reached first counts.
            ("max_queued_bytes", self.limits.max_queued_bytes),
            # At QoS 0 nothing waits for a client that is away: that is what the level means.
            ("queue_qos0_messages", "false"),
            ("max_packet_size", self.limits.max_packet_bytes),
            ("max_keepalive", self.limits.max_keepalive_seconds),
            # A packet of its own for each small message is a third of what the broker costs. What a
            # client has not yet acknowledged by TCP holds back what is small, for 40 ms at most.
            ("set_tcp_nodelay", "false"),
        ]

    def _log(self) -> list[tuple[str, str | int]]:
        return [
            ("sys_interval", self.limits.sys_interval_seconds),
            ("log_dest", "stderr"),
            *(("log_type", kind) for kind in _LOG_TYPES[self.log_level]),
            ("log_timestamp_format", "%Y-%m-%dT%H:%M:%S"),
        ]
