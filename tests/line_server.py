"""A server of lines that answers as a test says, for what a healthy one never says."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

READY = b'{"ready":true}'


class LineServer:
    """Notes the lines of each connection; says what it is told to, to the last that came."""

    def __init__(self) -> None:
        self.port = 0
        self.greets = True
        self.answers = True
        self.keys: list[bytes] = []
        self.connections: list[list[bytes]] = []
        self.eofs = 0
        self._wants_key = False
        self._writers: list[asyncio.StreamWriter] = []

    @property
    def lines(self) -> list[bytes]:
        """All lines, over all connections."""
        return [line for connection in self.connections for line in connection]

    def say(self, line: bytes) -> None:
        """Say a line, with its end."""
        self.send(line + b"\n")

    def send(self, some: bytes) -> None:
        """Send bytes as they are."""
        self._writers[-1].write(some)

    def hang_up(self) -> None:
        """Close the last connection."""
        self._writers[-1].close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self._wants_key:
            self.keys.append((await reader.readline()).rstrip(b"\n"))
        lines: list[bytes] = []
        self.connections.append(lines)
        if self.greets:
            self.say(READY)
        try:
            while line := await reader.readline():
                lines.append(line.rstrip(b"\n"))
                if self.answers:
                    writer.write(b'{"durable":%d}\n' % len(lines))
            self.eofs += 1
        except ConnectionError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def tcp_line_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[LineServer]:
    """Serve at a port of this machine; the first line of a connection is its key."""
    lines = LineServer()
    lines._wants_key = True
    server = await asyncio.start_server(lines.serve, "127.0.0.1", 0, ssl=tls)
    lines.port = server.sockets[0].getsockname()[1]
    yield lines
    server.close()


@asynccontextmanager
async def unix_line_server(path: Path) -> AsyncIterator[LineServer]:
    """Serve at a socket file, which is gone afterwards."""
    lines = LineServer()
    with ExitStack() as left:
        server = await asyncio.start_unix_server(lines.serve, path)
        left.callback(path.unlink, missing_ok=True)
        yield lines
        server.close()
