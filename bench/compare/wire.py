"""How many bytes this process has sent and received: by its sockets, or as it wrote them."""

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISSOCK

_DESCRIPTORS = Path("/proc/self/fd")
# tcp_info of linux/tcp.h: bytes_acked and bytes_received.
_COUNTS = struct.Struct("=QQ")
_COUNTS_AT = 120
_INFO_BYTES = 256


def tcp_bytes() -> int:
    """Add up what every TCP connection of this process has carried both ways, TLS included."""
    return sum(
        sum(_COUNTS.unpack_from(info, _COUNTS_AT))
        for one in _sockets()
        if one.type == socket.SOCK_STREAM and one.family in (socket.AF_INET, socket.AF_INET6)
        for info in [one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)]
    )


def written_bytes() -> int:
    """Return what this process has written by write(2): to files, and to Unix stream sockets."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["wchar"])


def _sockets() -> Iterator[socket.socket]:
    for descriptor in list(_DESCRIPTORS.iterdir()):
        with suppress(OSError):
            # Nothing else is copied: to close a copy drops the process's locks on the file, and
            # another that closes a SQLite file as the last one, as it seems, takes its log away.
            if S_ISSOCK(descriptor.stat().st_mode):
                with socket.socket(fileno=os.dup(int(descriptor.name))) as one:
                    yield one
