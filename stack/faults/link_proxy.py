"""A TCP link to a broker that can be cut without a word, sliced, delayed, and lose packets."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal, Self

from msgspec import Struct

from stack.faults.loop_thread import LoopThread
from stack.faults.packets import PacketSplitter

HOST = "127.0.0.1"
_READ_BYTES = 16_384
_WAITING_PIECES = 256

Direction = Literal["to broker", "from broker"]
Loses = Callable[[Direction, bytes], bool]
"""Says of a whole MQTT packet whether it is lost."""


class Shape(Struct, frozen=True):
    """How bytes travel: of each piece so many one by one, and all up to so much later."""

    single_bytes: int = 0
    jitter_seconds: float = 0.0


_UNSHAPED = Shape()


class LinkProxy:
    """Passes connections on to a port of this machine; its own port is `port`.

    Changes may be made from any thread, at any time: they hold for what comes next on every
    connection.
    """

    def __init__(
        self, target_port: int, *, shape: Shape = _UNSHAPED, loses: Loses | None = None
    ) -> None:
        self._target_port = target_port
        self.shape = shape
        self.loses = loses
        self.connections = 0
        self.lost_packets = 0
        self.single_writes = 0
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> Self:
        self._thread = LoopThread("link-proxy")
        self._thread.run(self._listen())
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.call(self._server.close)
        self._thread.call(self._abort_all)
        self._thread.close()

    def cut(self) -> None:
        """Let nothing through any more, in either direction; no side is told."""
        self._thread.call(self._up.clear)

    def restore(self) -> None:
        """Let through what was held, and all that follows."""
        self._thread.call(self._up.set)

    def abort(self) -> None:
        """Break every connection; new ones are served."""
        self._thread.call(self._abort_all)

    async def _listen(self) -> None:
        self._up = asyncio.Event()
        self._up.set()
        self._server = await asyncio.start_server(self._serve, HOST, 0, backlog=1_000)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _abort_all(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            await self._up.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, self._target_port)
            self._writers.add(far_writer)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, far_writer, "to broker"))
                    both.create_task(self._pass(far_reader, writer, "from broker"))
            finally:
                self._forget(far_writer)
        except (OSError, asyncio.CancelledError):
            # Cancelled only as the proxy ends, and asyncio would print that as a mishap.
            pass
        finally:
            self._forget(writer)

    def _forget(self, writer: asyncio.StreamWriter) -> None:
        writer.close()
        self._writers.discard(writer)

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        """Carry one direction to its end; reading and writing apart, so that delays overlap."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING_PIECES)
        writing = asyncio.create_task(self._write(pieces, writer))
        splitter = PacketSplitter()
        try:
            with suppress(OSError):
                while data := await reader.read(_READ_BYTES):
                    # Not read on while cut: the sender's system has to notice as well.
                    await self._up.wait()
                    if self.loses is not None:
                        data = self._kept(splitter.feed(data), direction)
                    await pieces.put((self._due(), data))
            await pieces.put((0.0, b""))
            with suppress(OSError):
                await writing
        finally:
            writing.cancel()

    def _kept(self, packets: list[bytes], direction: Direction) -> bytes:
        assert self.loses is not None
        kept = [packet for packet in packets if not self.loses(direction, packet)]
        self.lost_packets += len(packets) - len(kept)
        return b"".join(kept)

    def _due(self) -> float:
        later = random.uniform(0.0, self.shape.jitter_seconds)  # noqa: S311 - hides nothing
        return asyncio.get_running_loop().time() + later

    async def _write(
        self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await pieces.get()
            # What comes later never overtakes: TCP keeps the order.
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._up.wait()
            if not data and due == 0.0:
                writer.close()
                return
            for slice_ in self._slices(data):
                writer.write(slice_)
            await writer.drain()

    def _slices(self, data: bytes) -> Iterator[bytes]:
        single = min(self.shape.single_bytes, len(data))
        self.single_writes += single
        for place in range(single):
            yield data[place : place + 1]
        if single < len(data):
            yield data[single:]
