"""The way in by HTTP on ingest's real parts, before a store that fails on command."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from msgspec import Struct

from ingest.sources.http.opening import open_http_source
from ingest.sources.http.source import HttpSource
from telemetry.keys import Scope, make_key
from telemetry.keys import file as key_file
from telemetry.reading import Reading
from telemetry.store import Selection
from tests.eventually import eventually_async
from tests.ingest_parts import Parts

NOW_MS = time.time_ns() // 1_000_000
OWN = {"site": "hall", "device": "node-1", "measurement": "weather"}
NDJSON = "application/x-ndjson"


def reading(seq: int, **changed: object) -> dict[str, Any]:
    """A reading without its address."""
    return {"ts": NOW_MS + seq, "values": {"a": 1.0}, "boot": NOW_MS, "seq": seq, **changed}


def pack(*seqs: int, device: str = "node-1") -> bytes:
    """Several readings under one address."""
    return msgspec.json.encode(
        {**OWN, "device": device, "readings": [reading(seq) for seq in seqs]}
    )


class Answered(Struct, frozen=True):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Intake:
    """A source at work, and a sender with a key for the devices `node-*`."""

    def __init__(self, parts: Parts, source: HttpSource, keys: Path, http: Any) -> None:
        self.parts = parts
        self.source = source
        self.keys = keys
        self.key = self.new_key("write", devices=["node-*"])
        self.host, self.port = source.address[:2]
        self._http = http

    def new_key(self, *scopes: Scope, devices: list[str] | None = None) -> str:
        key, entry = make_key("sender", list(scopes), devices, made="")
        key_file.add(self.keys, entry)
        return key

    async def send(
        self,
        body: Any,
        content_type: str | None = None,
        *,
        query: Mapping[str, str] | str | None = None,
        method: str = "POST",
        path: str = "/v1/readings",
        key: str | None = None,
        **headers: str,
    ) -> Answered:
        """Send a request; headers are given as `Content_Encoding`."""
        given = {"Authorization": f"Bearer {self.key if key is None else key}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if content_type is not None:
            given["Content-Type"] = content_type
        async with self._http.request(
            method,
            f"http://{self.host}:{self.port}{path}",
            data=body,
            params=query,
            headers=given,
            skip_auto_headers=["Content-Type"],
        ) as answer:
            text = await answer.read()
            return Answered(
                answer.status, answer.headers, msgspec.json.decode(text) if text else None
            )

    @asynccontextmanager
    async def connection(
        self, tls: ssl.SSLContext | None = None
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A bare connection, for what no client sends."""
        reader, writer = await asyncio.open_connection(self.host, self.port, ssl=tls)
        try:
            yield reader, writer
        finally:
            writer.close()

    def head(self, *more: str) -> bytes:
        """The head of a request, with an allowed key."""
        lines = ["POST /v1/readings HTTP/1.1", "Host: x", f"Authorization: Bearer {self.key}"]
        return "\r\n".join((*lines, *more, "", "")).encode()

    def stored(self) -> list[Reading]:
        everything = Selection(start_ms=0, stop_ms=2**62)
        return list(self.parts.store.readings(everything, limit=1_000_000))

    def seqs(self) -> list[int]:
        return sorted(one.seq or 0 for one in self.stored())

    async def stop(self) -> None:
        """Stop as the service does on SIGTERM."""
        self.source.pause()
        await self.parts.pipeline.drain()
        await self.parts.quarantining.drained()
        await self.source.disconnect()


@asynccontextmanager
async def taking(folder: Path, **settings: object) -> AsyncIterator[Intake]:
    """Run a source on parts of its own; `settings` are theirs."""
    keys = folder / "keys"
    keys.touch()
    parts = Parts(
        folder,
        **{
            "flush_interval_ms": 5,
            "intake_listen": "127.0.0.1:0",
            "keys_file": str(keys),
            **settings,
        },
    )
    source = open_http_source(parts.settings, parts.intake, parts.tally)
    async with parts.working(), aiohttp.ClientSession() as http:
        tasks = [asyncio.create_task(part) for part in source.parts().values()]
        try:
            await eventually_async(lambda: source.problem is None)
            yield Intake(parts, source, keys, http)
        finally:
            source.pause()
            await source.disconnect()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert parts.tally.balance == 0
