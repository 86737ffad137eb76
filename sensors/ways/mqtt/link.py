"""One MQTT 5 connection through paho, read and written by the event loop, without a thread."""

import asyncio
import time
from concurrent.futures import Executor
from functools import partial
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sensors.ways.failures import ConnectFailed, no_connection
from sensors.ways.mqtt.client import Client, Connect, OnAnswer, OnCommand, make_client
from sensors.ways.mqtt.manner import USUAL, Manner

IN_FLIGHT = 20
"""Mosquitto's own limit; a QoS 2 publisher beyond it loses readings to 2.0.11, uncounted."""

# Of a keepalive: after how much silence to ping, and how long to wait for the answer. With looks an
# eighth apart a dead link is noticed 1.375 keepalives after the last word from it, at the latest.
LOOK_SHARE = 1 / 8
_QUIET_SHARE = 1 / 2
_PATIENCE_SHARE = 5 / 8

_UNLIMITED = 268_435_460  # the largest packet that MQTT can encode
_UNSENT_PACKETS = 100


class Link:
    """A connection from CONNACK to its end; for the next try another one is made.

    `lost` ends with a word on why, once the connection is gone for whatever reason.
    """

    __slots__ = (
        "_accepted", "_client", "_loop", "_manner", "_pinged_s", "_writing",
        "keepalive_seconds", "lost", "max_packet_bytes", "max_qos", "window",
    )  # fmt: skip

    def __init__(
        self,
        client: Client,
        loop: asyncio.AbstractEventLoop,
        keepalive_seconds: int,
        manner: Manner = USUAL,
    ) -> None:
        self._client = client
        self._manner = manner
        self._loop = loop
        self._writing = False
        self._pinged_s: float | None = None
        self._accepted: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()
        self.keepalive_seconds = keepalive_seconds
        self.max_packet_bytes = _UNLIMITED
        self.max_qos = 2
        self.window = IN_FLIGHT

    @classmethod
    async def open(
        cls,
        connect: Connect,
        on_answer: OnAnswer,
        executor: Executor,
        on_command: OnCommand | None = None,
        manner: Manner = USUAL,
    ) -> "Link":
        """Connect and wait for the broker's consent; raise ConnectFailed without it."""
        loop = asyncio.get_running_loop()
        client = make_client(connect, on_answer, on_command)
        # Name look-up and the handshakes of TCP and TLS block; a dead broker must not hold up the
        # loop.
        dial = partial(
            client.connect,
            connect.socket or connect.host,
            connect.port,
            connect.keepalive_seconds,
            clean_start=True,
        )
        try:
            await loop.run_in_executor(executor, dial)
        except OSError as error:
            raise no_connection(error) from error
        link = cls(client, loop, connect.keepalive_seconds, manner)
        await link._handshake(connect.timeout_seconds)
        return link

    async def _handshake(self, timeout_seconds: float) -> None:
        try:
            self._attach()
            async with asyncio.timeout(timeout_seconds):
                await self._accepted
        except TimeoutError as error:
            self.abort()
            raise ConnectFailed("timeout", f"no CONNACK in {timeout_seconds:g} s") from error
        except BaseException:
            self.abort()
            raise

    def _attach(self) -> None:
        client = self._client
        socket = client.socket()
        if socket is None:
            raise ConnectFailed("unreachable", "the connection broke at once")
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_socket_close = self._on_socket_close
        # The descriptor rather than the socket: uvloop puts off the closing of a socket it watches.
        self._loop.add_reader(socket.fileno(), self._readable)
        self._write_rest()

    @property
    def alive(self) -> bool:
        """Whether messages can be sent."""
        return not self.lost.done()

    @property
    def congested(self) -> bool:
        """Whether so much waits for the network that a QoS 0 reading is better dropped."""
        return self._client.unsent_packets >= _UNSENT_PACKETS

    def fits(self, topic: bytes, payload: bytes) -> bool:
        """Tell whether the broker takes a message of this size, at any QoS."""
        body = 2 + len(topic) + 2 + self._manner.properties_bytes + len(payload)
        return body + 1 + _length_bytes(body) <= self.max_packet_bytes

    def send(
        self, packet_id: int, topic: bytes, payload: bytes, qos: int, *, retain: bool = False
    ) -> bool:
        """Publish a message; False where the connection is gone. It may wait for the network."""
        sent = self._client.send(packet_id, topic, payload, qos, retain)
        if sent and self._client.unsent_packets and not self._writing:
            self._write_rest()
        return sent

    def publish(self, packet_id: int, topic: bytes, payload: bytes, qos: int) -> bool:
        """Publish a reading in the manner of its device; as `send`."""
        client, manner = self._client, self._manner
        sent = client.send(packet_id, topic, payload, qos, manner.retain, manner.properties)
        if sent and client.unsent_packets and not self._writing:
            self._write_rest()
        return sent

    def reply(
        self, packet_id: int, topic: bytes, payload: bytes, correlation: bytes | None
    ) -> bool:
        """Answer a command at QoS 1; False where the connection is gone."""
        sent = self._client.reply(packet_id, topic, payload, correlation)
        if sent and self._client.unsent_packets and not self._writing:
            self._write_rest()
        return sent

    def take_commands(self) -> None:
        """Subscribe to the device's commands; the answer is a SUBACK."""
        self._client.take_commands()
        self._write_rest()

    def keep_alive(self) -> None:
        """Ping the broker where it is time to, and give it up where it does not answer.

        paho's own watch waits a keepalive before it asks and another one for the answer, and takes
        a device that keeps sending into a dead link for a live one.
        """
        now_s, client = time.monotonic(), self._client
        if self._pinged_s is not None and client.heard_s >= self._pinged_s:
            self._pinged_s = None
        if self._pinged_s is None:
            quiet_since_s = min(client.heard_s, client.sent_s)
            if now_s - quiet_since_s >= self.keepalive_seconds * _QUIET_SHARE:
                self._pinged_s = now_s
                client.ping()
        elif now_s - self._pinged_s >= self.keepalive_seconds * _PATIENCE_SHARE:
            self._end("no answer to a ping")

    def disconnect(self) -> None:
        """Say goodbye, so that the broker publishes no last will."""
        self._client.disconnect()
        self._write_rest()

    def abort(self) -> None:
        """Close the connection without a word, and let go of what belongs to it."""
        self._client.abort()
        self._end("closed")
        client = self._client
        client.on_connect = client.on_disconnect = client.on_socket_close = None

    def _readable(self) -> None:
        self._client.read()
        if self._client.unsent_packets and not self._writing:
            self._write_rest()

    def _write_rest(self) -> None:
        self._client.loop_write()
        socket = self._client.socket()
        if socket is None:
            return
        wants = self._client.unsent_packets > 0
        if wants and not self._writing:
            self._loop.add_writer(socket.fileno(), self._write_rest)
        elif self._writing and not wants:
            self._loop.remove_writer(socket.fileno())
        self._writing = wants

    def _end(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)
        if not self._accepted.done():
            error = self._client.tls_error
            failed = ConnectFailed("unreachable", why) if error is None else no_connection(error)
            self._accepted.set_exception(failed)
            # Read here, so that one that nobody awaits any more is no warning.
            self._accepted.exception()

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if self._accepted.done():
            return
        if reason.is_failure:
            self._accepted.set_exception(ConnectFailed("refused", str(reason)))
            return
        self.max_packet_bytes = getattr(properties, "MaximumPacketSize", _UNLIMITED)
        self.max_qos = getattr(properties, "MaximumQoS", 2)
        self.window = min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))
        # The broker's own replaces ours (MQTT 5, 3.2.2.3.14); 0 says that it does not watch.
        asked = getattr(properties, "ServerKeepAlive", 0)
        self.keepalive_seconds = min(asked or self.keepalive_seconds, self.keepalive_seconds)
        self._accepted.set_result(None)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: Any,
        _flags: paho.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._end(str(reason))

    def _on_socket_close(
        self, _client: paho.Client, _userdata: Any, socket: "paho.SocketLike"
    ) -> None:
        self._loop.remove_reader(socket.fileno())
        self._loop.remove_writer(socket.fileno())
        self._writing = False


def _length_bytes(length: int) -> int:
    return 1 if length < 128 else 2 if length < 16_384 else 3 if length < 2_097_152 else 4
