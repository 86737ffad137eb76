"""Opens the connections of a fleet, some at a time, and keeps them alive."""

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor

from msgspec import Struct

from sensors.ways.mqtt.client import Connect, OnAnswer, OnCommand, Will
from sensors.ways.mqtt.link import LOOK_SHARE, Link
from sensors.ways.mqtt.manner import USUAL, Manner

_ROUND_PARTS = 50
# A broker may ask for a shorter keepalive than ours while a round is on its way.
_LONGEST_ROUND_SECONDS = 5.0


class Broker(Struct, frozen=True):
    """Where the broker is, how patient a device is with it, and whether it must speak TLS.

    Its Unix socket, where there is one, stands before host and port.
    """

    host: str
    port: int
    keepalive_seconds: int
    connect_timeout_seconds: float
    tls: ssl.SSLContext | None = None
    socket: str | None = None


class Dialler:
    """Makes links to one broker; the threads that a handshake blocks are shared."""

    def __init__(self, broker: Broker, connects_at_once: int) -> None:
        self._broker = broker
        self._executor = ThreadPoolExecutor(connects_at_once, "connect")
        self._turn = asyncio.Semaphore(connects_at_once)
        self._links: set[Link] = set()
        self._shortest_keepalive_seconds = broker.keepalive_seconds

    async def open(
        self,
        name: str,
        password: str,
        on_answer: OnAnswer,
        will: Will | None = None,
        *,
        commands: str | None = None,
        on_command: OnCommand | None = None,
        manner: Manner = USUAL,
    ) -> Link:
        """Wait for a turn and connect; raise ConnectFailed where that does not succeed."""
        broker = self._broker
        connect = Connect(
            host=broker.host,
            port=manner.port or broker.port,
            name=name,
            password=password,
            keepalive_seconds=manner.keepalive_seconds or broker.keepalive_seconds,
            timeout_seconds=broker.connect_timeout_seconds,
            will=will,
            tls=manner.tls or broker.tls,
            commands=commands,
            # A group that names a port or TLS of its own is not at the socket.
            socket=None if manner.port or manner.tls else broker.socket,
        )
        async with self._turn:
            link = await Link.open(connect, on_answer, self._executor, on_command, manner)
        self._links.add(link)
        shortest = min(self._shortest_keepalive_seconds, link.keepalive_seconds)
        self._shortest_keepalive_seconds = shortest
        return link

    def close(self, link: Link) -> None:
        """Let go of a link that is lost or no longer wanted."""
        self._links.discard(link)
        link.abort()

    async def keep_alive(self) -> None:
        """Ping where needed, until cancelled; each link is looked at eight times a keepalive."""
        while True:
            # In parts: a look at 10,000 links in one go would make readings late.
            links = list(self._links)
            for part in range(_ROUND_PARTS):
                for link in links[part::_ROUND_PARTS]:
                    link.keep_alive()
                await asyncio.sleep(self._round_seconds / _ROUND_PARTS)

    @property
    def _round_seconds(self) -> float:
        return min(self._shortest_keepalive_seconds * LOOK_SHARE, _LONGEST_ROUND_SECONDS)

    def shut(self) -> None:
        """Close what is still open; threads that wait for a dead broker are left to end alone."""
        for link in list(self._links):
            self.close(link)
        self._executor.shutdown(wait=False, cancel_futures=True)
