"""All ways by name, and what each of them can do."""

from typing import Literal

from msgspec import Struct

WayName = Literal["mqtt", "tcp", "unix", "udp", "unixgram", "folder", "database", "http"]


class WayKind(Struct, frozen=True):
    """What a fleet may ask of a way.

    `peer` is what is at its other end. Without `acknowledges` there is nothing but QoS 0. With
    `by_device` each device has a connection of its own, else the process has one for all of them.
    `needs` are the settings that it cannot do without.
    """

    peer: str
    needs: tuple[str, ...]
    acknowledges: bool = True
    by_device: bool = False


WAYS: dict[WayName, WayKind] = {
    "mqtt": WayKind("broker", ("fleet_key",), by_device=True),
    "tcp": WayKind("ingest", ("tcp_port", "key"), by_device=True),
    "unix": WayKind("ingest", ("unix_socket",), by_device=True),
    "udp": WayKind("ingest", ("udp_port",), acknowledges=False),
    "unixgram": WayKind("ingest", ("unixgram_socket",), acknowledges=False),
    "folder": WayKind("folder", ("folder",)),
    "database": WayKind("database", ("database_url",)),
    "http": WayKind("ingest", ("http_url", "key")),
}
