"""What reads a connection's socket in gmqtt's place: in large pieces, and only while there is room.

gmqtt reads by way of a stream and a task, and wakes for nearly each packet that the broker sends.
Here a small piece is followed by a pause in which more gathers in the kernel: at 5,000 messages a
second one waking takes 50 of them, and the broker's writes wake nobody. A large piece says that
more is there already: it is read at once. The broker gathers as well, until TCP has acknowledged
what it sent: that is done at the end of the pause and not before, so that all that came in it comes
then, and is read at once instead of in the next pause.
"""

import asyncio
import socket
from typing import Protocol

_GATHER_SECONDS = 0.01
_LARGE_BYTES = 1 << 16
_TLS_ANSWER_SECONDS = 0.001


class Listener(Protocol):
    """What takes the pieces; only `room` may raise, and nothing but its cancellation."""

    def take(self, data: bytes) -> int:
        """Take a piece; return how many messages came with it."""

    def has_room(self) -> bool:
        """Tell whether more can be taken."""

    async def room(self) -> None:
        """Wait until more can be taken."""

    def ended(self, error: Exception | None) -> None:
        """Take word of the connection's end."""


class Lane(asyncio.Protocol):
    """The protocol of a transport from when it is set."""

    def __init__(self, transport: asyncio.Transport, listener: Listener) -> None:
        self._transport = transport
        self._listener = listener
        self._socket = transport.get_extra_info("socket")
        # TLS is read in a pause too: what came is handed over at its end, ahead of what is called
        # for then, which would wait for the next end.
        is_tls = transport.get_extra_info("ssl_object") is not None
        self._answer_seconds = _TLS_ANSWER_SECONDS if is_tls else 0.0
        self._pause: asyncio.TimerHandle | asyncio.Task[None] | None = None

    def data_received(self, data: bytes) -> None:
        """Hand a piece on; then wait for room, or for more to gather."""
        messages = self._listener.take(data)
        if self._transport.is_closing():
            return
        if not self._listener.has_room():
            self._transport.pause_reading()
            self._wait_for_room()
        elif messages and len(data) < _LARGE_BYTES:
            self._transport.pause_reading()
            gather_seconds = _GATHER_SECONDS - self._answer_seconds
            loop = asyncio.get_running_loop()
            self._pause = loop.call_later(gather_seconds, self._call_for_more)
        else:
            self._acknowledge()

    def connection_lost(self, error: Exception | None) -> None:
        """Say that it is over; nothing is waited for any more."""
        if self._pause is not None:
            self._pause.cancel()
        self._listener.ended(error)

    def _call_for_more(self) -> None:
        if self._transport.is_closing():
            return
        self._acknowledge()
        if self._answer_seconds:
            loop = asyncio.get_running_loop()
            self._pause = loop.call_later(self._answer_seconds, self._read_on)
        else:
            self._read_on()

    def _read_on(self) -> None:
        if self._transport.is_closing():
            return
        if self._listener.has_room():
            self._transport.resume_reading()
        else:
            self._wait_for_room()

    def _wait_for_room(self) -> None:
        self._pause = asyncio.create_task(self._read_on_with_room(), name="room to read")

    async def _read_on_with_room(self) -> None:
        await self._listener.room()
        self._call_for_more()

    def _acknowledge(self) -> None:
        """Let TCP acknowledge what was read; what comes next, only when this is called again."""
        # The first sends it, where nothing is unread. Without the second, reading would send the
        # next one. By itself the kernel waits for 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
