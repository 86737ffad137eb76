"""The lane between a broker's socket and what takes its pieces, over a real connection."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from ingest.sources.mqtt.lane import Lane
from tests.eventually import eventually_async

_ROUNDS = 12
"""A process that stands still for a moment spoils one; what is tested shows in the best."""

_UNSETTLED_ROUNDS = 6
"""The kernel acknowledges the first pieces of a connection at once, whatever it is told."""

_KERNEL_SECONDS = 0.04
"""The kernel acknowledges by itself after no less."""


class Taker:
    """Takes pieces, of which each `;` is a message; what it is told to sends more meanwhile."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.taken_s: list[float] = []
        self.meanwhile: tuple[socket.socket, list[bytes]] | None = None

    def take(self, data: bytes) -> int:
        self.pieces.append(data)
        self.taken_s.append(time.monotonic())
        if self.meanwhile is not None:
            (far, packets), self.meanwhile = self.meanwhile, None
            send(far, packets)
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
    with socket.create_server(("127.0.0.1", 0)) as server:
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


async def test_what_gathers_at_the_sender_during_a_pause_comes_in_one_piece_at_its_end() -> None:
    rounds = []
    taker = Taker()
    async with connected(taker) as (_near, far):
        for _ in range(_ROUNDS):
            taker.pieces, taker.taken_s = [], []
            taker.meanwhile = far, [b"two;", b"three;", b"four;"]
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
