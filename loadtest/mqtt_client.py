"""Locust's MQTT client, mended: MQTT 5, driven by gevent, each answer with its reason code.

Locust's own runs paho's loop in a thread a client, which under gevent costs a `select` for each
message, reports connecting as 0 ms and, with MQTT 5, dies at a disconnect. Here a greenlet waits
for the socket, messages go out at once, and the handshakes of QoS 1 and 2 are handed on below
`Client.publish`, which would keep a record of each message and throw PUBREC's reason away.
"""

import ssl
from collections.abc import Callable
from typing import Any, Literal

import gevent
from gevent.event import AsyncResult
from locust.contrib.mqtt import MqttClient
from locust.env import Environment
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode

Answer = Literal["PUBACK", "PUBREC", "PUBCOMP"]
OnAnswer = Callable[[Answer, int, int], None]

_READ, _WRITE = 1, 2
_REFUSED = 0x80
_NOBODY_WAITS = paho.MQTTMessageInfo(0)


class NotConnected(Exception):
    """Raised when the broker cannot be reached, or does not let the client in; says why."""


class Client(MqttClient):
    """One connection after another of one client."""

    def __init__(self, *, environment: Environment, client_id: str, **given: Any) -> None:
        given |= {"protocol": paho.MQTTv5, "reconnect_on_failure": False}
        super().__init__(
            CallbackAPIVersion.VERSION2, environment=environment, client_id=client_id, **given
        )
        self.on_publish = None
        self.on_connect = self._connected
        self.on_disconnect = self._disconnected
        self.on_socket_close = self._closed
        self.answer: OnAnswer = lambda *_given: None
        self.lost: Callable[[], None] = lambda: None
        self._accepted: AsyncResult = AsyncResult()
        self._reading: gevent.Greenlet | None = None
        self._watcher: Any = None
        self._leaving = False

    def loop_start(self) -> MQTTErrorCode:
        """Start nothing: Locust's user calls it, and would get a thread."""
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def dial(self, *, keepalive_seconds: int, timeout_seconds: float) -> None:
        """Connect with a new session and wait for the broker's consent, else raise NotConnected."""
        self._accepted, self._leaving = AsyncResult(), False
        try:
            with gevent.Timeout(timeout_seconds):
                self.connect(self._host, self._port, keepalive_seconds, clean_start=True)
                self._reading = gevent.spawn(self._read)
                refused = self._accepted.get()
        except gevent.Timeout as error:
            self._sock_close()
            raise NotConnected(f"no CONNACK in {timeout_seconds:g} s") from error
        except OSError as error:
            self._sock_close()
            raise NotConnected(str(error)) from error
        if refused:
            self._sock_close()
            raise NotConnected(refused)

    def send(self, packet_id: int, topic: bytes, payload: bytes, qos: int) -> bool:
        """Publish a message and return whether it went out; waits where the network is full."""
        sent = self._send_publish(packet_id, topic, payload, qos, info=_NOBODY_WAITS)
        while self._out_packet and self._sock is not None:
            self._wait_until_writable(self._sock.fileno())
            self.loop_write()
        return bool(sent == MQTTErrorCode.MQTT_ERR_SUCCESS and self._sock is not None)

    def leave(self) -> None:
        """Say goodbye and close the connection."""
        self._leaving = True
        if self._sock is not None:
            self.disconnect()
        self._sock_close()

    def _read(self) -> None:
        assert self._sock is not None
        hub = gevent.get_hub()
        self._watcher = watcher = hub.loop.io(self._sock.fileno(), _READ)
        try:
            while self._sock is not None:
                hub.wait(watcher)
                self.loop_read()
                # The socket does not become readable for what OpenSSL has taken from it.
                while isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
                    self.loop_read()
        finally:
            watcher.stop()
            watcher.close()

    @staticmethod
    def _wait_until_writable(descriptor: int) -> None:
        hub = gevent.get_hub()
        watcher = hub.loop.io(descriptor, _WRITE)
        try:
            hub.wait(watcher)
        finally:
            watcher.stop()
            watcher.close()

    def _connected(
        self, _client: object, _data: object, _flags: object, reason: Any, _: object
    ) -> None:
        self._accepted.set(str(reason) if reason.is_failure else "")

    def _disconnected(self, *_given: object) -> None:
        if not self._accepted.ready():
            self._accepted.set("the connection broke before CONNACK")
        elif not self._leaving:
            self.lost()

    def _closed(self, *_given: object) -> None:
        # Before the descriptor is closed: another socket may get its number at once.
        if self._watcher is not None:
            self._watcher.stop()
        if self._reading is not None and self._reading is not gevent.getcurrent():
            self._reading.kill(block=False)

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet_id, reason = self._read_answer()
        self.answer(cmd, packet_id, reason)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet_id, reason = self._read_answer()
        self.answer("PUBREC", packet_id, reason)
        # [MQTT-4.3.3-4]: PUBREL follows unless PUBREC refused.
        if reason < _REFUSED:
            return self._send_pubrel(packet_id)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _read_answer(self) -> tuple[int, int]:
        packet = self._in_packet["packet"]
        # A reason code of success may be left out (MQTT 5, 3.4.2.1).
        return packet[0] << 8 | packet[1], packet[2] if len(packet) > 2 else 0
