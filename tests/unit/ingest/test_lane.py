"""The lane between a broker's socket and what takes its pieces, over a real connection."""

import asyncio
import socket
from functools import partial

from ingest.sources.mqtt.lane import Lane
from tests.eventually import eventually_async


class Taker:
    """Takes pieces, and notes at each whether TCP acknowledges it at once."""

    def __init__(self) -> None:
        self.taken = b""
        self.at_once: list[int] = []
        self.connection: socket.socket | None = None

    def take(self, data: bytes) -> int:
        assert self.connection is not None
        self.taken += data
        self.at_once.append(self.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK))
        return 1

    def has_taken(self, data: bytes) -> bool:
        return self.taken == data

    def has_room(self) -> bool:
        return True

    async def room(self) -> None:
        raise AssertionError("there is room")

    def ended(self, error: Exception | None) -> None:
        pass


async def test_each_piece_is_acknowledged_when_it_is_read_so_that_the_sender_does_not_wait() -> (
    None
):
    taker = Taker()
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _address = server.accept()
    with far:
        taker.connection = near
        loop = asyncio.get_running_loop()
        transport, _protocol = await loop.create_connection(asyncio.Protocol, sock=near)
        transport.set_protocol(Lane(transport, taker))
        for count in (1, 2, 3):
            # As the kernel does by itself where questions and answers take turns.
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
            far.sendall(b"piece")
            await eventually_async(partial(taker.has_taken, b"piece" * count))
        transport.close()

    assert len(taker.at_once) == 3
    assert all(taker.at_once)
