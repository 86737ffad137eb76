"""paho's MQTT 5 client with the handshakes of QoS 1 and 2 handed on, over TCP or TLS.

paho does sockets, framing, CONNECT and keepalive. The handshakes are the outbox's: paho throws
PUBREC's reason code away, and what it remembers of a handshake would compete with the outbox for
publishing again. So messages go out below `Client.publish`, and PUBACK, PUBREC and PUBCOMP are
handed on with their reason codes; that also spares paho's own record of each message. A
message goes to the socket at once where nothing waits, and what comes is read in one piece.
"""

import socket
import ssl
import time
from collections.abc import Callable
from typing import Any, Literal

from msgspec import Struct
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from sensors.commands import Command
from sensors.ways.mqtt.answers import REFUSED, AnswerKind
from sensors.ways.mqtt.manner import Packed

OnAnswer = Callable[[AnswerKind, int, int], None]
OnCommand = Callable[[Command], None]

SUBSCRIBE_ID = 3
"""The packet id of a SUBSCRIBE; nothing else on a connection has it."""

_PUBLISH = 0x30
_READ_BYTES = 4096
_NOBODY_WAITS = paho.MQTTMessageInfo(0)


class Will(Struct, frozen=True):
    """What the broker publishes, retained and at QoS 1, when the connection breaks."""

    topic: str
    payload: bytes


class Connect(Struct, frozen=True):
    """What a connection is made with; the name is client id and user name in one."""

    host: str
    port: int
    name: str
    password: str
    keepalive_seconds: int
    timeout_seconds: float
    will: Will | None = None
    tls: ssl.SSLContext | None = None
    commands: str | None = None
    """The topic filter of the commands that the connection takes."""
    socket: str | None = None
    """The broker's Unix socket, instead of host and port."""


class Client(paho.Client):
    """A client over TCP, or over a Unix socket."""

    tls_error: ssl.SSLError | None = None
    """What ended the connection, where TLS did."""

    writes_at_once = True
    """Whether a message goes past paho's queue where that is empty."""

    def __init__(
        self, connect: Connect, on_answer: OnAnswer, on_command: OnCommand | None = None
    ) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=connect.name,
            protocol=paho.MQTTv5,
            transport="tcp" if connect.socket is None else "unix",
            reconnect_on_failure=False,
        )
        self._on_answer = on_answer
        self._unread = b""
        self._on_command = on_command
        self._commands = connect.commands
        self.connect_timeout = connect.timeout_seconds
        self.username_pw_set(connect.name, connect.password)
        if connect.will:
            self.will_set(connect.will.topic, connect.will.payload, qos=1, retain=True)

    @property
    def unsent_packets(self) -> int:
        """How many packets wait for the network."""
        return len(self._out_packet)

    @property
    def heard_s(self) -> float:
        """When the broker last said something; `time.monotonic`."""
        return self._last_bytes_received

    @property
    def sent_s(self) -> float:
        """When something was last said to it."""
        return self._last_msg_out

    def read(self) -> None:
        """Read what has come, up to some kilobytes; the event loop calls again for more."""
        self.loop_read()
        while self._unread and self._sock is not None:
            self.loop_read()

    def ping(self) -> None:
        """Ask the broker for a sign of life."""
        self._send_pingreq()

    def send(
        self,
        packet_id: int,
        topic: bytes,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Packed | None = None,
    ) -> bool:
        """Publish a message; False where there is no connection.

        With nothing else waiting it goes to the socket at once; what that does not take, and any
        error, is left to paho.
        """
        sock = self._sock
        if sock is None or self._out_packet or not self.writes_at_once:
            return self._queue(packet_id, topic, payload, qos, retain, properties)
        packed = b"\0" if properties is None else properties.pack()
        packet = publish_packet(packet_id, topic, payload, qos, retain, packed)
        try:
            taken = sock.send(packet)
        except BlockingIOError:
            taken = 0
        except OSError:
            return self._queue(packet_id, topic, payload, qos, retain, properties)
        self._last_msg_out = time.monotonic()
        if taken < len(packet):
            self._out_packet.append(_rest(packet_id, qos, packet, taken))
        return True

    def _queue(
        self,
        packet_id: int,
        topic: bytes,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Packed | None,
    ) -> bool:
        sent = self._send_publish(
            packet_id,
            topic,
            payload,
            qos,
            retain,
            False,
            _NOBODY_WAITS,
            properties,  # type: ignore[arg-type]  # of which paho asks pack() alone
        )
        return sent == MQTTErrorCode.MQTT_ERR_SUCCESS

    def reply(
        self, packet_id: int, topic: bytes, payload: bytes, correlation: bytes | None
    ) -> bool:
        """Publish the answer to a command at QoS 1; False where there is no connection."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if correlation is not None:
            properties.CorrelationData = correlation
        sent = self._send_publish(
            packet_id, topic, payload, 1, info=_NOBODY_WAITS, properties=properties
        )
        return sent == MQTTErrorCode.MQTT_ERR_SUCCESS

    def take_commands(self) -> None:
        """Subscribe to the device's commands at QoS 1; what was retained is nobody's order now."""
        if self._commands is None:
            return
        options = SubscribeOptions(1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
        self._last_mid = SUBSCRIBE_ID - 1
        self._send_subscribe(False, [(self._commands.encode(), options)])

    def abort(self) -> None:
        """Close the socket without a word."""
        self._sock_close()

    def _handle_pubackcomp(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        packet_id, reason = self._read_answer()
        self._on_answer(cmd, packet_id, reason)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_pubrec(self) -> MQTTErrorCode:
        packet_id, reason = self._read_answer()
        self._on_answer("PUBREC", packet_id, reason)
        # [MQTT-4.3.3-4]: PUBREL follows unless PUBREC refused.
        if reason < REFUSED:
            return self._send_pubrel(packet_id)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _handle_suback(self) -> None:
        packet = self._in_packet["packet"]
        self._on_answer("SUBACK", packet[0] << 8 | packet[1], packet[-1])

    def _handle_on_message(self, message: paho.MQTTMessage) -> None:
        if self._on_command is not None:
            self._on_command(_command(message))

    def _sock_recv(self, bufsize: int) -> bytes:
        # paho asks for an acknowledgement in three pieces, each a call of the system.
        if not self._unread:
            self._unread = super()._sock_recv(_READ_BYTES)
        asked, self._unread = self._unread[:bufsize], self._unread[bufsize:]
        return asked

    def _read_answer(self) -> tuple[int, int]:
        packet = self._in_packet["packet"]
        if len(packet) < 2:
            raise MalformedPacket("an acknowledgement without its packet id")
        # A reason code of success may be left out (MQTT 5, 3.4.2.1).
        return packet[0] << 8 | packet[1], packet[2] if len(packet) > 2 else 0


class TlsClient(Client):
    """A client over TLS."""

    writes_at_once = False  # OpenSSL wants what it did not take again, from the beginning

    def __init__(
        self,
        connect: Connect,
        on_answer: OnAnswer,
        on_command: OnCommand | None,
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(connect, on_answer, on_command)
        self.tls_set_context(context)

    def read(self) -> None:
        """Read what has come, and what came with it in one TLS record.

        The socket does not become readable for that: OpenSSL has taken it from there.
        """
        super().read()
        while isinstance(self._sock, ssl.SSLSocket) and self._sock.pending():
            super().read()

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        # As paho does, which would leave the socket of a failed handshake open.
        assert self._ssl_context is not None
        wrapped = self._ssl_context.wrap_socket(
            tcp_sock, server_hostname=self._host, do_handshake_on_connect=False
        )
        try:
            wrapped.settimeout(self.connect_timeout)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped

    def _sock_recv(self, bufsize: int) -> bytes:
        # With TLS 1.3 the broker refuses our certificate when we think the handshake done.
        try:
            return super()._sock_recv(bufsize)
        except ssl.SSLError as error:
            self.tls_error = error
            raise


def publish_packet(
    packet_id: int, topic: bytes, payload: bytes, qos: int, retain: bool, properties: bytes
) -> bytes:
    """Return an MQTT 5 PUBLISH (3.3); the properties are given with their length."""
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    rest = len(topic) + len(payload) + len(identifier) + len(properties) + 2
    head = bytearray((_PUBLISH | qos << 1 | retain,))
    while rest >= 0x80:
        head.append(rest & 0x7F | 0x80)
        rest >>= 7
    head.append(rest)
    return b"".join((head, len(topic).to_bytes(2, "big"), topic, identifier, properties, payload))


def _rest(packet_id: int, qos: int, packet: bytes, taken: int) -> Any:
    """Return what paho's queue holds of a packet of which the socket took the beginning."""
    return {
        "command": _PUBLISH,
        "mid": packet_id,
        "qos": qos,
        "pos": taken,
        "to_process": len(packet) - taken,
        "packet": packet,
        "info": _NOBODY_WAITS,
    }


def make_client(
    connect: Connect, on_answer: OnAnswer, on_command: OnCommand | None = None
) -> Client:
    """Return the client for a connection that is not made yet."""
    if connect.tls is None:
        return Client(connect, on_answer, on_command)
    return TlsClient(connect, on_answer, on_command, connect.tls)


def _command(message: paho.MQTTMessage) -> Command:
    return Command(
        message.topic,
        bytes(message.payload),
        getattr(message.properties, "ResponseTopic", None),
        getattr(message.properties, "CorrelationData", None),
    )
