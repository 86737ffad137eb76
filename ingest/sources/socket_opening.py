"""Socket sources as the settings want them."""

import ipaddress
import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

from ingest.intake import Intake
from ingest.settings import IngestSettings
from ingest.sources import Source
from ingest.sources.counts import StreamWay
from ingest.sources.datagrams import DatagramSource, Network
from ingest.sources.keys import SenderKeys
from ingest.sources.listening import NetworkPlace, Place, SocketFile, warn_of_plaintext
from ingest.sources.stream_connection import Limits
from ingest.sources.streams import Door, StreamSource
from ingest.tally import Tally
from telemetry import log, tls
from telemetry.descriptors import allowed_connections
from telemetry.settings import SettingError

_NETWORKS = "networks as 10.0.0.0/8, separated by commas, are allowed"
_logger = log.get(__name__)


def open_socket_sources(settings: IngestSettings, intake: Intake, tally: Tally) -> Iterator[Source]:
    """Yield those that are switched on, not listening yet; SettingError where one cannot be."""
    if settings.tcp_listen:
        yield _tcp(settings, intake, tally)
    if settings.unix_socket:
        yield _unix(settings, intake, tally)
    if settings.udp_listen:
        yield _udp(settings, intake, tally)
    if settings.unixgram_socket:
        yield _unixgram(settings, intake, tally)


def _tcp(settings: IngestSettings, intake: Intake, tally: Tally) -> StreamSource:
    if not settings.keys_file:
        raise SettingError(
            f"INGEST_TCP_LISTEN={settings.tcp_listen!r}: INGEST_KEYS_FILE is not set as well, which"
            " says who may send"
        )
    door = Door(
        connections=_connections(settings),
        host_connections=settings.tcp_address_connections,
        tls=tls.server_context("INGEST_TCP", settings.tcp_certificate_file, settings.tcp_key_file),
        keys=SenderKeys(Path(settings.keys_file)),
    )
    place = NetworkPlace.parse("INGEST_TCP_LISTEN", settings.tcp_listen, socket.SOCK_STREAM)
    if door.tls is None:
        warn_of_plaintext(place, "INGEST_TCP")
    return _stream("tcp", place, door, settings, intake, tally)


def _unix(settings: IngestSettings, intake: Intake, tally: Tally) -> StreamSource:
    door = Door(connections=_connections(settings), users=allowed_users(settings.unix_allow_users))
    place = SocketFile("INGEST_UNIX_SOCKET", settings.unix_socket, socket.SOCK_STREAM)
    return _stream("unix", place, door, settings, intake, tally)


def _stream(
    way: StreamWay,
    place: Place,
    door: Door,
    settings: IngestSettings,
    intake: Intake,
    tally: Tally,
) -> StreamSource:
    return StreamSource(
        way,
        place,
        door,
        _limits(settings),
        intake,
        tally,
        unfinished_bytes=settings.held_bytes,
        backlog_bytes=settings.held_bytes,
    )


def _udp(settings: IngestSettings, intake: Intake, tally: Tally) -> DatagramSource:
    return DatagramSource(
        "udp",
        NetworkPlace.parse("INGEST_UDP_LISTEN", settings.udp_listen, socket.SOCK_DGRAM),
        intake,
        tally,
        payload_bytes=settings.payload_bytes,
        buffer_bytes=settings.datagram_buffer_bytes,
        networks=allowed_networks(settings.udp_allow),
    )


def _unixgram(settings: IngestSettings, intake: Intake, tally: Tally) -> DatagramSource:
    return DatagramSource(
        "unixgram",
        SocketFile("INGEST_UNIXGRAM_SOCKET", settings.unixgram_socket, socket.SOCK_DGRAM),
        intake,
        tally,
        payload_bytes=settings.payload_bytes,
        buffer_bytes=settings.datagram_buffer_bytes,
    )


def _limits(settings: IngestSettings) -> Limits:
    return Limits(
        line_bytes=settings.payload_bytes,
        line_seconds=settings.stream_line_seconds,
        idle_seconds=settings.stream_idle_seconds,
    )


def _connections(settings: IngestSettings) -> int:
    wanted = settings.stream_connections
    allowed = allowed_connections(wanted)
    if allowed < wanted:
        _logger.warning("fewer connections than set: too few open files", connections=allowed)
    return allowed


def allowed_users(text: str) -> frozenset[int]:
    """Return who may send to a Unix socket: our own user and root, and who is named."""
    named = (one.strip() for one in text.split(","))
    return frozenset({0, os.getuid(), *(_user(one) for one in named if one)})


def allowed_networks(text: str) -> list[Network]:
    """Return from where datagrams are taken over UDP."""
    try:
        networks = [ipaddress.ip_network(one.strip()) for one in text.split(",") if one.strip()]
    except ValueError as error:
        raise SettingError(f"INGEST_UDP_ALLOW={text!r}: {error}; {_NETWORKS}") from error
    if not networks:
        raise SettingError(f"INGEST_UDP_ALLOW={text!r}: {_NETWORKS}")
    return networks


def _user(name: str) -> int:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError as error:
        raise SettingError(
            f"INGEST_UNIX_ALLOW_USERS: {name!r} is no user of this machine"
        ) from error
