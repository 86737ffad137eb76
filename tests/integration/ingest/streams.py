"""Stream sources on ingest's real parts, before a store that fails on command."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from ingest.grant import Grant
from ingest.sources.counts import StreamWay
from ingest.sources.listening import NetworkPlace, SocketFile
from ingest.sources.stream_connection import Limits
from ingest.sources.streams import Door, StreamSource
from telemetry.reading import Reading
from telemetry.store import Selection
from tests.eventually import eventually_async
from tests.ingest_parts import Parts
from tests.line_sender import LineSender

NOW_MS = time.time_ns() // 1_000_000
KEY = "the right key"
USER = "this user"


class Keyring:
    """Knows one key, of the devices whose names begin with `node-`."""

    def grant(self, key: str) -> Grant | None:
        return Grant(("node-*",)) if key == KEY else None

    def is_known(self, key: str) -> bool:
        return key == KEY


def line(seq: int, device: str = "node-1", **changed: object) -> bytes:
    """The payload of a reading that names its own address."""
    named = {"site": "hall", "device": device, "measurement": "weather"}
    told = {"ts": NOW_MS + seq, "values": {"a": 1.0}, "boot": NOW_MS, "seq": seq}
    return msgspec.json.encode({**named, **told, **changed})


def pack(seqs: range, device: str = "node-1") -> bytes:
    """Several readings under one address."""
    readings = [
        {"ts": NOW_MS + seq, "values": {"a": 1.0}, "boot": NOW_MS, "seq": seq} for seq in seqs
    ]
    named = {"site": "hall", "device": device, "measurement": "weather"}
    return msgspec.json.encode({**named, "readings": readings})


class Streams:
    """A source at work: `sender()` connects to it."""

    def __init__(self, parts: Parts, source: StreamSource) -> None:
        self.parts = parts
        self.source = source
        self._address = source.address

    @property
    def counts(self) -> dict[str, int]:
        """How many connections were ended, by reason."""
        ended = self.parts.tally.sockets.ended
        return {reason: count for (way, reason), count in ended.items() if way == self.source.way}

    @property
    def open_connections(self) -> int:
        return self.parts.tally.sockets.connections[self.source.way]

    def sender(self, **changed: Any) -> LineSender:
        """A sender that is let in, unless it is told otherwise."""
        if self.source.way == "unix":
            return LineSender(Path(self._address), **changed)
        host, port = self._address[:2]
        return LineSender((host, port), **{"key": KEY, **changed})

    def stored(self) -> list[Reading]:
        everything = Selection(start_ms=0, stop_ms=2**62)
        return list(self.parts.store.readings(everything, limit=1_000_000))

    async def stop(self) -> None:
        """Stop as the service does on SIGTERM."""
        self.source.pause()
        await self.parts.pipeline.drain()
        await self.parts.quarantining.drained()
        await self.source.disconnect()


@asynccontextmanager
async def streaming(
    way: StreamWay,
    folder: Path,
    *,
    connections: int = 3_000,
    host_connections: int | None = None,
    users: frozenset[int] | None = None,
    tls: ssl.SSLContext | None = None,
    unfinished_bytes: int = 10_000_000,
    backlog_bytes: int = 10_000_000,
    limits: dict[str, Any] | None = None,
    **settings: object,
) -> AsyncIterator[Streams]:
    """Run a source on parts of its own; `settings` are theirs."""
    parts = Parts(folder, **{"flush_interval_ms": 5, **settings})
    place = (
        SocketFile("INGEST_UNIX_SOCKET", str(folder / "in.sock"), socket.SOCK_STREAM)
        if way == "unix"
        else NetworkPlace("127.0.0.1", 0, socket.SOCK_STREAM)
    )
    door = Door(connections, host_connections, tls, None if way == "unix" else Keyring(), users)
    borne = Limits(
        **{
            "line_bytes": parts.settings.payload_bytes,
            "line_seconds": 30.0,
            "idle_seconds": 60.0,
            **(limits or {}),
        }
    )
    source = StreamSource(
        way,
        place,
        door,
        borne,
        parts.intake,
        parts.tally,
        unfinished_bytes=unfinished_bytes,
        backlog_bytes=backlog_bytes,
    )
    async with parts.working():
        tasks = [asyncio.create_task(part, name=name) for name, part in source.parts().items()]
        try:
            await eventually_async(lambda: source.problem is None, what="a listening socket")
            yield Streams(parts, source)
        finally:
            source.pause()
            await source.disconnect()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert parts.tally.balance == 0
