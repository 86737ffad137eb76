"""Stands before InfluxDB and notes when readings were confirmed: `python -m bench.confirmations`.

It is told where InfluxDB is (`Watched`) by one JSON object on standard input, says `ready` and its
port, and at a line from standard input ends with `Confirmed` on standard output. A write that
InfluxDB has answered with 204 can be asked for from then on, so that the answer is when its
readings became queryable, whoever wrote them.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator

import msgspec
import uvloop
from msgspec import Struct

_READ_BYTES = 1 << 18
_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_TIME = re.compile(rb" (\d{13,19})$", re.MULTILINE)
_MEASURED = b"load,"
_NS_DIGITS = 19
_WRITE = b"POST /api/v2/write"
_STORED = b"HTTP/1.1 204"


class Watched(Struct, frozen=True):
    """Where InfluxDB is."""

    host: str
    port: int


class Confirmed(Struct, frozen=True):
    """When the first reading was confirmed (ms since the epoch), and how late all were, by ms."""

    first_ms: float
    readings: int
    late_ms: dict[int, int]

    def percentile(self, percent: int) -> int:
        """Return a percentile of the latencies, in ms."""
        left = self.readings * percent / 100
        for late_ms, count in sorted(self.late_ms.items()):
            left -= count
            if left <= 0:
                return late_ms
        return 0


class Proxy:
    """Passes requests on one by one and counts the readings of those that were stored."""

    def __init__(self, watched: Watched) -> None:
        self._watched = watched
        self._late_ms: Counter[int] = Counter()
        self._first_ms = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what one connection asks and what InfluxDB answers."""
        upstream = await asyncio.open_connection(
            self._watched.host, self._watched.port, limit=_READ_BYTES
        )
        try:
            while True:
                head, body = await message(reader)
                upstream[1].writelines((head, *body))
                answer, content = await message(upstream[0])
                self.note(head, body, answer)
                writer.writelines((answer, *content))
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the one or the other side has ended, or we were told to
        finally:
            writer.close()
            upstream[1].close()

    def confirmed(self) -> Confirmed:
        """Return what was counted."""
        return Confirmed(self._first_ms, self._late_ms.total(), dict(self._late_ms))

    def note(self, head: bytes, body: list[bytes], answer: bytes) -> None:
        """Count the readings of a request, if it was a write and is answered as stored."""
        if not (head.startswith(_WRITE) and answer.startswith(_STORED)):
            return
        lines = body[0] if len(body) == 1 else b"".join(chunk[:-2] for chunk in body[1::2])
        if not lines.startswith(_MEASURED):
            return
        now_ms = time.time() * 1000
        self._first_ms = self._first_ms or now_ms
        times = _TIME.findall(lines)
        scale = 1e-6 if len(times[0]) == _NS_DIGITS else 1
        self._late_ms.update([round(now_ms - int(one) * scale) for one in times])


async def message(reader: asyncio.StreamReader) -> tuple[bytes, list[bytes]]:
    """Read a request or an answer: its head, and the body as it came, in one piece or in chunks."""
    head = await reader.readuntil(_HEAD_END)
    if _CHUNKED.search(head):
        return head, [chunk async for chunk in _chunks(reader)]
    length = _LENGTH.search(head)
    return head, [await reader.readexactly(int(length[1]))] if length else []


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield the size of each chunk and the chunk, up to the empty one (RFC 9112, 7.1)."""
    size = -1
    while size:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        yield line
        yield await reader.readexactly(size + 2)


async def watch(watched: Watched) -> Confirmed:
    """Serve until told to stop."""
    proxy = Proxy(watched)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=_READ_BYTES)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    return proxy.confirmed()


def main() -> None:
    """Do what standard input asks for."""
    watched = msgspec.json.decode(sys.stdin.readline(), type=Watched)
    print(msgspec.json.encode(uvloop.run(watch(watched))).decode(), flush=True)


if __name__ == "__main__":
    main()
