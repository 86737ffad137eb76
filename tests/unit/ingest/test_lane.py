"""The lane between a broker's socket and what takes its pieces, over a real connection."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import mode
from typing import cast

import uvloop

from broker.certificates import Authority
from ingest.sources.mqtt.lane import Lane
from tests.certificates import server_context, write_authority
from tests.eventually import eventually_async

HOST = "127.0.0.1"

_ROUNDS = 12
"""A process that stands still for a moment spoils one; what is tested shows in the best."""

_UNSETTLED_ROUNDS = 6
"""The kernel acknowledges the first pieces of a connection at once, whatever it is told."""

_STEP_SECONDS = 0.002
"""Some fit into a pause."""

_KERNEL_SECONDS = 0.04
"""The kernel acknowledges by itself after no less."""


class Taker:
    """Takes pieces, of which each `;` is a message; with the next one, does what it is told to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.taken_s: list[float] = []
        self.meanwhile: Callable[[], None] | None = None

    def take(self, data: bytes) -> int:
        self.pieces.append(data)
        self.taken_s.append(time.monotonic())
        if self.meanwhile is not None:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()
        return data.count(b";")

    def has_taken(self, data: bytes) -> bool:
        return b"".join(self.pieces) == data

    def has_room(self) -> bool:
        return True

    async def room(self) -> None:
        raise AssertionError("there is room")

    def ended(self, error: Exception | None) -> None:
        pass


def send(far: socket.socket, packets: list[bytes]) -> None:
    """Write each by itself, as the broker does: what is small gathers while one is under way."""
    for packet in packets:
        far.sendall(packet)


@asynccontextmanager
async def connected(taker: Taker) -> AsyncIterator[tuple[socket.socket, socket.socket]]:
    """Yield both ends of a lane on which a first piece has come, as a broker's answers do."""
    with socket.create_server((HOST, 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _address = server.accept()
    with far:
        loop = asyncio.get_running_loop()
        transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=near)
        transport.set_protocol(Lane(transport, taker))
        far.sendall(b"hello")
        await eventually_async(partial(taker.has_taken, b"hello"))
        yield near, far
        transport.close()


@asynccontextmanager
async def connected_by_tls(
    taker: Taker, folder: Path
) -> AsyncIterator[tuple[asyncio.Transport, asyncio.Transport]]:
    """Yield the same, over TLS."""
    authority, loop = Authority.make("an authority"), asyncio.get_running_loop()
    made: asyncio.Future[asyncio.Transport] = loop.create_future()

    class Far(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.set_result(cast("asyncio.Transport", transport))

    context = server_context(folder, authority.issue_server([HOST]))
    trusting = ssl.create_default_context(cafile=write_authority(folder, authority))
    server = await loop.create_server(Far, HOST, 0, ssl=context)
    async with server:
        address = server.sockets[0].getsockname()
        near, _protocol = await loop.create_connection(asyncio.Protocol, *address, ssl=trusting)
        near.set_protocol(Lane(near, taker))
        far = await made
        far.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        yield near, far
        near.abort()
        far.abort()


async def test_what_gathers_at_the_sender_during_a_pause_comes_in_one_piece_at_its_end() -> None:
    rounds = []
    taker = Taker()
    async with connected(taker) as (_near, far):
        for _ in range(_ROUNDS):
            taker.pieces, taker.taken_s = [], []
            taker.meanwhile = partial(send, far, [b"two;", b"three;", b"four;"])
            far.sendall(b"one;")
            await eventually_async(partial(taker.has_taken, b"one;two;three;four;"))
            rounds.append((len(taker.pieces), taker.taken_s[-1] - taker.taken_s[0], taker.pieces))

    _count, seconds, pieces = min(rounds[_UNSETTLED_ROUNDS:])
    assert pieces == [b"one;", b"two;three;four;"]
    assert seconds < _KERNEL_SECONDS


async def test_a_piece_without_a_message_calls_for_the_next_one_at_once() -> None:
    waits = []
    taker = Taker()
    async with connected(taker) as (near, far):
        for _ in range(_ROUNDS):
            taker.pieces, taker.taken_s = [], []
            # As the kernel does by itself where questions and answers take turns.
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            send(far, [b"answer", b"answer"])
            await eventually_async(partial(taker.has_taken, b"answeranswer"))
            waits.append(taker.taken_s[-1] - taker.taken_s[0])

    assert min(waits[_UNSETTLED_ROUNDS:]) < _KERNEL_SECONDS / 2


def test_over_tls_what_came_during_a_pause_waits_for_what_its_end_calls_for(tmp_path: Path) -> None:
    # As ingest runs: asyncio's own loop looks at its sockets before it hands over what has come.
    rounds = uvloop.run(rounds_over_tls(tmp_path))

    assert mode(rounds[_UNSETTLED_ROUNDS:]) == (b"one;", b"two;three;")


async def rounds_over_tls(folder: Path) -> list[tuple[bytes, ...]]:
    """Let a message come in each pause, and one gather; return the pieces of each round."""
    rounds = []
    taker = Taker()
    async with connected_by_tls(taker, folder) as (near, far):
        for _ in range(_ROUNDS):
            taker.pieces = []
            far.write(b"one;")
            await asyncio.sleep(_STEP_SECONDS)
            far.write(b"two;")
            await asyncio.sleep(_STEP_SECONDS)
            near.write(b"what acknowledges the first as well, so that the second comes")
            await asyncio.sleep(_STEP_SECONDS)
            far.write(b"three;")
            await eventually_async(partial(taker.has_taken, b"one;two;three;"))
            rounds.append(tuple(taker.pieces))
            # Let the last pause end, so that the next round begins one.
            await asyncio.sleep(_KERNEL_SECONDS)
    return rounds
