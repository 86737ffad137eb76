"""What the sockets count: who is connected, who was turned away and why, what the kernel lost."""

from collections import Counter
from collections.abc import Iterator
from typing import Literal, get_args

from msgspec import Struct, field

from ingest.sources import WayName
from telemetry.metrics import Sample

StreamWay = Literal["tcp", "unix"]
DatagramWay = Literal["udp", "unixgram"]
_CONNECTED: tuple[WayName, ...] = (*get_args(StreamWay), "http")
EndReason = Literal[
    "busy", "address", "user", "tls", "key", "framing", "slow", "idle", "unread", "memory"
]
"""Why a connection was ended, or not begun: too many of them, or of one address, a user who may not
send, no TLS, no known key, what is no line, too slow, silent, answers not read, too much of
unfinished lines."""


class SocketCounts(Struct):
    """Plain integers, counted on the event loop's thread only."""

    connections: Counter[WayName] = field(default_factory=Counter)
    ended: Counter[tuple[WayName, EndReason]] = field(default_factory=Counter)
    refused_datagrams: Counter[WayName] = field(default_factory=Counter)
    lost_datagrams: Counter[WayName] = field(default_factory=Counter)


def samples(counts: SocketCounts) -> Iterator[Sample]:
    """Yield the sockets' figures."""
    for way in _CONNECTED:
        about = "Connections of senders."
        open_now = counts.connections[way]
        yield Sample("open_connections", open_now, about, {"way": way}, "gauge")
    for way in _CONNECTED:
        for reason in get_args(EndReason):
            about = "Connections refused, or ended by us."
            labels = {"way": way, "reason": reason}
            yield Sample("refused_connections", counts.ended[way, reason], about, labels)
    for way in get_args(DatagramWay):
        refused = counts.refused_datagrams[way]
        yield Sample("refused_datagrams", refused, "From where none is taken.", {"way": way})
    for way in get_args(DatagramWay):
        lost = counts.lost_datagrams[way]
        yield Sample("lost_datagrams", lost, "Dropped by the kernel, unread.", {"way": way})
