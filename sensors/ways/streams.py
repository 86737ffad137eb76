"""TCP and Unix stream sockets: a payload a line out, lines of cumulative answers in.

Over TCP the first line names the key. Then the other side says that it is ready, and later, as
often as it likes, how many lines of this connection are safe by now:

    {"key": "…"}                                            out, over TCP alone
    {"ready": true}                                         in
    {"durable": 17}
    {"durable": 18, "quarantined": [{"line": 18, "index": 0, "reason": "…"}]}
    {"durable": 19, "quarantined": [{"line": 19, "reason": "…"}]}       all of that line
    {"error": "…", "line": 19}                              in, and the end
"""

import asyncio
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, cast

import msgspec
from msgspec import Struct

from sensors.settings import SensorsSettings
from sensors.ways.channel import ALL_STORED, NOT_NAMED, Answer, Bounds, Lost, Rejection
from sensors.ways.failures import ConnectFailed, ConnectionLost, Refused, no_connection
from sensors.ways.way import MakeChannel
from telemetry.settings import Secret
from telemetry.tls import client_context

_BOUNDS = Bounds(batch_payloads=200, batch_bytes=65_536, batches_in_flight=8)
_LONGEST_ANSWER_BYTES = 1_000_000
_GOODBYE_SECONDS = 1.0
_MS_PER_SECOND = 1000
# Of a keepalive: silence before a probe, and between probes; a dead link is noticed as over MQTT.
_QUIET_SHARE, _PROBE_SHARE, _PROBES = 1 / 2, 1 / 8, 7
_PATIENCE_SHARE = 11 / 8

Dial = Callable[["StreamChannel"], Coroutine[Any, Any, object]]


class _Quarantined(Struct, gc=False):
    line: int
    reason: str
    index: int | None = None


class _Said(Struct):
    durable: int | None = None
    quarantined: list[_Quarantined] = []
    unnamed: int = 0
    ready: bool = False
    error: str | None = None
    line: int | None = None


_DECODER = msgspec.json.Decoder(_Said)


class _Batch(Struct, gc=False):
    """Lines that are on their way, by the numbers of the first and the last one."""

    first: int
    last: int
    answer: "asyncio.Future[Answer]"


class StreamChannel(asyncio.Protocol):
    """One connection at a time over a stream socket."""

    __slots__ = (
        "_batches", "_closed", "_dial", "_key", "_lines", "_lost", "_ready", "_rejected", "_rest",
        "_transport", "bounds",
    )  # fmt: skip

    def __init__(self, dial: Dial, key: Secret | None = None) -> None:
        self.bounds = _BOUNDS
        self._dial = dial
        self._key = key
        self._transport: asyncio.Transport | None = None
        self._lost: Lost | None = None
        self._ready: asyncio.Future[None] | None = None
        self._closed: asyncio.Future[None] | None = None
        self._batches: deque[_Batch] = deque()
        self._rejected: list[_Quarantined] = []
        self._rest = b""
        self._lines = 0

    async def open(self, lost: Lost) -> None:
        """Connect, name the key, and wait to be let in; raise ConnectFailed."""
        loop = asyncio.get_running_loop()
        self._batches.clear()
        self._rejected.clear()
        self._rest, self._lines = b"", 0
        self._lost = lost
        self._ready, self._closed = loop.create_future(), loop.create_future()
        try:
            await self._dial(self)
        except OSError as error:
            raise no_connection(error) from error
        if self._key is not None and self._transport is not None:
            # Read again, because a key may be replaced while the fleet runs.
            self._transport.write(msgspec.json.encode({"key": self._key.reread().value}) + b"\n")
        await self._ready

    def send(self, payloads: Sequence[bytes]) -> Awaitable[Answer]:
        """Send each payload as a line."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self._transport is None:
            answer.set_exception(ConnectionLost("the connection is gone"))
            return answer
        first = self._lines + 1
        self._lines += len(payloads)
        self._batches.append(_Batch(first, self._lines, answer))
        self._transport.write(b"\n".join((*payloads, b"")))
        return answer

    async def close(self) -> None:
        """Let what was written leave, and hang up."""
        if self._transport is not None and self._closed is not None:
            self._transport.close()
            try:
                await self._closed
            finally:
                self.abort()

    def abort(self) -> None:
        """Hang up at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note that there is a connection."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        """Note that it is gone, for whatever reason."""
        self._transport = None
        self._end("the other side hung up" if error is None else str(error))
        if self._closed is not None and not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Take answers, whole ones and parts of them."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._rest) > _LONGEST_ANSWER_BYTES:
            self._give_up("an answer without an end")

    def _take(self, line: bytes) -> None:
        try:
            said = _DECODER.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._give_up("an answer that is none")
            return
        if said.error is not None:
            self._refused(said.error, said.line)
        elif said.durable is not None:
            self._rejected += said.quarantined
            if said.unnamed and said.quarantined:
                lines = range(said.quarantined[-1].line, said.durable + 1)
                self._rejected += [_Quarantined(number, NOT_NAMED) for number in lines]
            self._settle(said.durable)
        elif said.ready and self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _settle(self, lines: int) -> None:
        while self._batches and self._batches[0].last <= lines:
            batch = self._batches.popleft()
            if not batch.answer.done():
                batch.answer.set_result(self._answer(batch))

    def _answer(self, batch: _Batch) -> Answer:
        if not self._rejected:
            return ALL_STORED
        here = [one for one in self._rejected if one.line <= batch.last]
        self._rejected = [one for one in self._rejected if one.line > batch.last]
        return Answer([Rejection(one.line - batch.first, one.index, one.reason) for one in here])

    def _refused(self, why: str, line: int | None) -> None:
        """Take the other side's last word; it may name a line that it never takes."""
        if self._ready is not None and not self._ready.done():
            _fail(self._ready, ConnectFailed("refused", why))
        for batch in self._batches:
            if line is not None and batch.first <= line <= batch.last:
                _fail(batch.answer, Refused(why, line - batch.first))
        self._give_up(why)

    def _give_up(self, why: str) -> None:
        self._end(why)
        self.abort()

    def _end(self, why: str) -> None:
        if self._ready is not None:
            _fail(self._ready, ConnectFailed("unreachable", why))
        while self._batches:
            _fail(self._batches.popleft().answer, ConnectionLost(why))
        if self._lost is not None:
            self._lost(why)


def tcp_channel(settings: SensorsSettings) -> MakeChannel:
    """Return what makes a device's channel over TCP, with TLS where an authority is named."""
    context = client_context(settings)
    seconds, port = settings.connect_timeout_seconds, settings.tcp_port
    assert port is not None, "checked before (checking.py)"

    async def dial(channel: StreamChannel) -> None:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: channel,
            settings.tcp_host,
            port,
            ssl=context,
            ssl_handshake_timeout=None if context is None else seconds,
            ssl_shutdown_timeout=None if context is None else _GOODBYE_SECONDS,
        )
        _watch(transport.get_extra_info("socket"), settings.keepalive_seconds)

    return partial(StreamChannel, dial, settings.key)


def unix_channel(settings: SensorsSettings) -> MakeChannel:
    """Return what makes a device's channel over a Unix socket."""

    async def dial(channel: StreamChannel) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_unix_connection(lambda: channel, settings.unix_socket)

    return partial(StreamChannel, dial)


def _watch(sock: socket.socket, keepalive_seconds: int) -> None:
    """Let the kernel notice a link that went dead without a word, sending or not."""
    for option, value in (
        (socket.TCP_KEEPIDLE, keepalive_seconds * _QUIET_SHARE),
        (socket.TCP_KEEPINTVL, keepalive_seconds * _PROBE_SHARE),
        (socket.TCP_KEEPCNT, _PROBES),
        (socket.TCP_USER_TIMEOUT, keepalive_seconds * _PATIENCE_SHARE * _MS_PER_SECOND),
    ):
        sock.setsockopt(socket.IPPROTO_TCP, option, max(1, round(value)))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _fail(future: "asyncio.Future[Any]", failure: Exception) -> None:
    if not future.done():
        future.set_exception(failure)
        # Read here, so that one that nobody awaits any more is no warning.
        future.exception()
