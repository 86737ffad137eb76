"""One connection to the broker: gmqtt's, with its acknowledgements held back until we send them.

A new object for each connection, so that no acknowledgement can leave on a later one: a packet
identifier means nothing there.
"""

import asyncio
import ssl
import struct
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

import gmqtt
from gmqtt.mqtt.constants import MQTTCommands
from gmqtt.mqtt.package import Package
from msgspec import Struct

from ingest.hotpath.packets import MalformedPacket
from ingest.sources.mqtt.inbound import Inbound, Receiver
from ingest.sources.mqtt.lane import Lane
from ingest.sources.mqtt.packet_receipts import PUBACK, PUBREC, Unreleased
from ingest.tally import Tally
from telemetry import log

_HELD_BACK = (PUBACK, PUBREC)
_PUBCOMP = MQTTCommands.PUBCOMP
_LAST_WORD_SECONDS = 0.05
_LOOKS_PER_KEEPALIVE = 8
# Promised is 1.5: what is left is for the look itself, and for a busy loop.
SILENT_KEEPALIVES = 1.4
SESSION_TAKEN_OVER = 0x8E
_logger = log.get(__name__)


class Will(Struct, frozen=True):
    """What the broker publishes, retained, when the connection breaks."""

    topic: str
    payload: bytes


class Connection(gmqtt.Client):  # type: ignore[misc]
    """Receives messages as they come, and acknowledges those whose receipts are released."""

    def __init__(
        self,
        client_id: str,
        receiver: Receiver,
        *,
        notices: Sequence[str],
        unreleased: Unreleased,
        tally: Tally,
        will: Will | None = None,
        **properties: int,
    ) -> None:
        last_word = gmqtt.Message(will.topic, will.payload, qos=1, retain=True) if will else None
        # Acknowledging "optimistically", gmqtt calls our hook below just before the message.
        super().__init__(
            client_id,
            clean_session=False,
            optimistic_acknowledgement=True,
            will_message=last_word,
            **properties,
        )
        self._receiver = receiver
        self._unreleased = unreleased
        self._inbound = Inbound(
            receiver,
            notices=notices,
            unreleased=unreleased,
            tally=tally,
            on_packet=self._packet,
            send=self._answer,
        )
        self._is_read = False
        self._deadline: asyncio.Timeout | None = None
        self._patience_seconds = 0.0
        self._pings = self._pongs = 0
        self._ponged = asyncio.Event()
        self._answers: asyncio.Queue[tuple[int, ...]] = asyncio.Queue()
        self._tls_error: ssl.SSLError | None = None
        self.session_present = False
        self.end_reason: int | None = None
        self.lost = asyncio.Event()
        self.on_connect = self._connected
        self.on_message = self._message
        self.on_disconnect = self._disconnected
        self.on_subscribe = self._answered
        self.on_unsubscribe = self._answered
        # gmqtt passes over what it cannot read: its place in the window would be lost for good.
        self._read_publish = self._package_handler._handle_publish_packet
        self._package_handler._handler_cache[MQTTCommands.PUBLISH] = self._publish
        self._package_handler._handler_cache[MQTTCommands.PINGRESP] = self._pong

    async def reconnect(self, delay: bool = False) -> None:
        """Do not reconnect: the source opens a new connection, with its own pace."""

    async def handshake(self, work: Coroutine[Any, Any, None], *, timeout_seconds: float) -> None:
        """Do work that asks the broker; only while the connection lasts, and within a time-out.

        The time during which nothing is read for want of room is not the broker's: what it holds
        for us comes before its answers. Raises TimeoutError and ConnectionError.
        """
        asking = asyncio.create_task(work, name="handshake")
        lost = asyncio.create_task(self.lost.wait(), name="connection lost")
        self._patience_seconds = timeout_seconds
        try:
            async with asyncio.timeout(timeout_seconds) as self._deadline:
                await asyncio.wait((asking, lost), return_when=asyncio.FIRST_COMPLETED)
                # A refusal comes right before the end, and tells more than that.
                await asyncio.wait((asking,), timeout=_LAST_WORD_SECONDS)
            if not asking.done():
                raise self._tls_error or ConnectionResetError(
                    "the connection was lost before the broker answered"
                )
            asking.result()
        finally:
            self._deadline = None
            lost.cancel()
            asking.cancel()

    async def subscribe_to(
        self, filters: Sequence[str], *, qos: int, retained_once: bool = False
    ) -> tuple[int, ...]:
        """Subscribe; return the broker's answer for each filter (128 and up: refused).

        With `retained_once` what is retained comes only where the session did not have the filter.
        """
        self.subscribe(
            [
                gmqtt.Subscription(one, qos=qos, retain_handling_options=int(retained_once))
                for one in filters
            ]
        )
        return await self._answers.get()

    async def unsubscribe_from(self, filters: Sequence[str]) -> None:
        """Unsubscribe from filters of which some may be unknown to the broker."""
        for one in filters:
            self.unsubscribe(one)
            await self._answers.get()

    async def is_drained(self) -> bool:
        """Ask the broker; True where nothing came before its answer.

        What it holds for us, and may send, comes before it answers a later question.
        """
        arrivals = self._inbound.arrivals
        self._connection._send_ping_request()
        asked = self._pings
        while self._pongs < asked:
            self._ponged.clear()
            await self._ponged.wait()
        return self._inbound.arrivals == arrivals

    async def watch(self) -> None:
        """Ping where the connection is quiet; return when it was silent for too long.

        gmqtt's own watch waits for two keepalives, and takes an unread socket for a silent one.
        """
        self._connection._keep_connection_callback.cancel()
        # [MQTT-3.2.2-21]: the server's, where it has sent one; with 0 it wants none, but we do.
        keepalive = self._connection.keepalive or self._keepalive
        pause_seconds = keepalive / _LOOKS_PER_KEEPALIVE
        now_s = time.monotonic()
        while not self.lost.is_set():
            due_s = now_s + pause_seconds
            await asyncio.sleep(pause_seconds)
            now_s = time.monotonic()
            # While we stood still ourselves, what came was not read.
            self._connection._last_data_in += max(0.0, now_s - due_s)
            silent_seconds = now_s - self._connection._last_data_in
            if silent_seconds >= SILENT_KEEPALIVES * keepalive:
                return
            quiet_since_s = min(self._connection._last_data_in, self._connection._last_data_out)
            if now_s - quiet_since_s >= keepalive / 2:
                self._connection._send_ping_request()

    def drop(self) -> None:
        """Close the socket without a word, as after a failure; the session stays at the broker."""
        self._inbound.receipts.forget()
        if self._connection is not None:
            self._connection._transport.abort()

    def take(self, data: bytes) -> int:
        """Read a piece of the stream; of the Listener protocol, as the three below."""
        # Not only whole packets are a sign of life.
        self._connection._last_data_in = time.monotonic()
        try:
            return self._inbound.feed(data)
        except MalformedPacket as error:
            _logger.warning("what the broker sends cannot be read", problem=str(error))
            self.drop()
            return 0

    def has_room(self) -> bool:
        """Tell whether more can be taken."""
        return self._receiver.has_room()

    async def room(self) -> None:
        """Wait until more can be taken; the time until then is not the broker's."""
        connection = self._connection
        self._reschedule(None)
        keepalive = connection.keepalive or self._keepalive
        while not self._receiver.has_room():
            with suppress(TimeoutError):
                async with asyncio.timeout(keepalive / _LOOKS_PER_KEEPALIVE):
                    await self._receiver.room()
            # Nothing was read because we did not look: no reason to think the broker dead.
            connection._last_data_in = time.monotonic()
        self._reschedule(asyncio.get_running_loop().time() + self._patience_seconds)

    def ended(self, error: Exception | None) -> None:
        """Tell gmqtt of the connection's end."""
        # With TLS 1.3 the broker refuses our certificate when we think the handshake done.
        self._tls_error = error if isinstance(error, ssl.SSLError) else None
        self._connection._protocol.connection_lost(None if self._tls_error else error)

    async def _create_connection(self, *args: Any, **keywords: Any) -> Any:
        connection = self._connection = await super()._create_connection(*args, **keywords)
        send_ping = connection._send_ping_request

        def ping() -> None:
            self._pings += 1
            send_ping()

        connection._send_ping_request = ping
        # gmqtt writes as before; what comes from the broker is read by us.
        connection._protocol._read_loop_future.cancel()
        connection._transport.set_protocol(Lane(connection._transport, self))
        return connection

    def _reschedule(self, handshake_ends_at_s: float | None) -> None:
        if self._deadline is not None:
            self._deadline.reschedule(handshake_ends_at_s)

    def _send_command_with_mid(self, cmd: int, mid: int, dup: bool, reason_code: int = 0) -> None:
        if cmd in _HELD_BACK:
            self._inbound.owe(cmd, mid)
            return
        if cmd == _PUBCOMP:
            self._inbound.arrivals += 1  # of its PUBREL: it frees a place for another message
            self._unreleased.release(mid)
        super()._send_command_with_mid(cmd, mid, dup, reason_code)

    def _packet(self, head: int, body: bytes) -> None:
        self._connection.put_package(Package(head, body))

    def _publish(self, command: int, packet: bytes) -> None:
        self._is_read = False
        try:
            self._read_publish(command, packet)
        except (ValueError, LookupError, struct.error):
            _logger.warning("a message cannot be read and goes to quarantine", exc_info=True)
        if not self._is_read and not self._inbound.refuse(command, packet):
            self.drop()

    def _pong(self, _command: int, _packet: bytes) -> None:
        self._pongs += 1
        self._ponged.set()

    def _answer(self, packets: bytes) -> bool:
        if not self.is_connected:
            return False
        self._connection.send_package(packets)
        return True

    def _message(
        self,
        _client: object,
        topic: str | bytes,
        payload: bytes,
        qos: int,
        properties: dict[str, Any],
    ) -> None:
        self._is_read = True
        content_type = properties.get("content_type")
        self._inbound.deliver(
            topic,
            payload,
            qos,
            bool(properties["dup"]),
            content_type[0] if content_type else None,
        )

    def _connected(self, _client: object, flags: int, _result: int, _properties: object) -> None:
        self.session_present = bool(flags & 1)

    def _disconnected(self, _client: object, packet: object, *_rest: object) -> None:
        # The broker's DISCONNECT has a reason; the end of the socket, which follows, has none.
        if isinstance(packet, bytes) and packet and not self.lost.is_set():
            self.end_reason = packet[0]
        self._inbound.receipts.forget()
        self.lost.set()

    def _answered(self, _client: object, _mid: int, codes: tuple[int, ...], *_rest: object) -> None:
        self._answers.put_nowait(codes)
