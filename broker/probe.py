"""Asking a broker whether it takes a client, and for what it retains: MQTT 5 over a plain socket.

Source: MQTT 5.0, sections 3.1 (CONNECT), 3.2 (CONNACK), 3.3 (PUBLISH) and 3.8 (SUBSCRIBE). A health
check that runs every few seconds is made with it, so its imports are few.
"""

import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

TYPE_CHECKING = False  # as typing has it, whose import would cost a third of a health check
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

ACCEPTED = 0x00
BAD_CREDENTIALS = 0x86
NOT_AUTHORIZED = 0x87

_CONNECT, _CONNACK, _DISCONNECT = 0x10, 0x20, b"\xe0\x00"
_SUBSCRIBE, _SUBACK, _PUBLISH = 0x82, 0x90, 0x30
_PROTOCOL = b"\x00\x04MQTT\x05"
_USER, _PASSWORD, _CLEAN_START = 0x80, 0x40, 0x02
_KEEPALIVE_SECONDS = 10
_NO_PROPERTIES = b"\x00"
_FIRST_PACKET_ID = b"\x00\x01"
_AT_QOS_0 = b"\x00"
_NOTHING_RETAINED = b"\x20"  # at QoS 0, retain handling 2 (MQTT 5.0, 3.8.3.1)
_PINGREQ, _PINGRESP = b"\xc0\x00", 0xD0
_POLL_SECONDS = 0.05
_LONGEST_LENGTH_BYTES = 4


class NoBroker(Exception):
    """Raised when what listens, if anything does, does not answer as an MQTT 5 broker."""


def connect_reason(
    host: str,
    port: int,
    user: str | None,
    password: str | None,
    *,
    tls: "ssl.SSLContext | None" = None,
    timeout_seconds: float = 2.0,
) -> int:
    """Connect, leave at once and return the broker's reason code (0x00 is accepted)."""
    with _connected(host, port, tls, timeout_seconds) as connection:
        reason = _reason(connection, user, password)
        if reason == ACCEPTED:
            connection.sendall(_DISCONNECT)
        return reason


def retained(
    host: str, port: int, user: str, password: str, topic: str, *, timeout_seconds: float = 2.0
) -> str:
    """Return a topic's retained message; NoBroker where the client is refused or none comes."""
    with _connected(host, port, None, timeout_seconds) as connection:
        reason = _reason(connection, user, password)
        if reason != ACCEPTED:
            raise NoBroker(f"{host}:{port} refuses {user} with reason {reason:#x}")
        connection.sendall(_subscribe_packet(topic))
        kind = _SUBACK
        while kind == _SUBACK:
            kind, body = _next_packet(connection, _SUBACK, _PUBLISH)
        connection.sendall(_DISCONNECT)
    return _payload(body)


def hear(
    host: str,
    port: int,
    user: str,
    password: str,
    topic: str,
    wanted: "Callable[[str], bool]",
    *,
    when_subscribed: "Callable[[], None]",
    start_seconds: float = 30.0,
) -> None:
    """Subscribe, say so, and return when a wanted message is published; retained ones are old.

    Waits for as long as it takes, once the broker has answered within `start_seconds`. NoBroker
    where the client is refused, or the connection ends.
    """
    _wait_for_listener(host, port, start_seconds)
    with _connected(host, port, None, _KEEPALIVE_SECONDS / 2) as connection:
        reason = _reason(connection, user, password)
        if reason != ACCEPTED:
            raise NoBroker(f"{host}:{port} refuses {user} with reason {reason:#x}")
        connection.sendall(_subscribe_packet(topic, _NOTHING_RETAINED))
        _next_packet(connection, _SUBACK)
        when_subscribed()
        while not _heard(connection, wanted):
            pass
        connection.sendall(_DISCONNECT)


def _heard(connection: socket.socket, wanted: "Callable[[str], bool]") -> bool:
    """Tell whether a wanted message came before it was time for a ping."""
    ready, _, _ = select.select([connection], [], [], _KEEPALIVE_SECONDS / 2)
    if not ready:
        connection.sendall(_PINGREQ)
        return False
    kind, body = _next_packet(connection, _PUBLISH, _PINGRESP)
    return kind == _PUBLISH and wanted(_payload(body))


def _wait_for_listener(host: str, port: int, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host, port), timeout=1.0).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise NoBroker(f"{host}:{port}: {error}") from error
            time.sleep(_POLL_SECONDS)
        else:
            return


@contextmanager
def _connected(
    host: str, port: int, tls: "ssl.SSLContext | None", timeout_seconds: float
) -> Iterator[socket.socket]:
    try:
        with socket.create_connection((host, port), timeout=timeout_seconds) as plain:
            if tls is None:
                yield plain
            else:
                with tls.wrap_socket(plain, server_hostname=host) as encrypted:
                    yield encrypted
    except OSError as error:
        raise NoBroker(f"{host}:{port}: {error}") from error


def _reason(connection: socket.socket, user: str | None, password: str | None) -> int:
    connection.sendall(_connect_packet(user, password))
    _, body = _next_packet(connection, _CONNACK)
    return body[1]


def _connect_packet(user: str | None, password: str | None) -> bytes:
    flags = _CLEAN_START | (_USER if user is not None else 0)
    flags |= _PASSWORD if password is not None else 0
    # An empty client id lets the broker choose one, so that a probe never takes a session over.
    body = _PROTOCOL + bytes([flags, 0, _KEEPALIVE_SECONDS]) + _NO_PROPERTIES + _text("")
    body += b"".join(_text(text) for text in (user, password) if text is not None)
    return _packet(_CONNECT, body)


def _subscribe_packet(topic: str, options: bytes = _AT_QOS_0) -> bytes:
    return _packet(_SUBSCRIBE, _FIRST_PACKET_ID + _NO_PROPERTIES + _text(topic) + options)


def _packet(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _variable_length(len(body)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _variable_length(length: int) -> bytes:
    low, high = length % 128, length // 128
    return bytes([low | 0x80]) + _variable_length(high) if high else bytes([low])


def _next_packet(connection: socket.socket, *kinds: int) -> tuple[int, bytes]:
    """Return the type and the body of the next packet, which is of one of these types."""
    first = _receive(connection, 1)[0]
    # Only a PUBLISH has flags in its lower half: DUP, QoS and RETAIN.
    kind = first & 0xF0 if _PUBLISH in kinds and first & 0xF0 == _PUBLISH else first
    if kind not in kinds:
        raise NoBroker(f"answered packet type {first:#x}, not {kinds[0]:#x}")
    length = 0
    for position in range(_LONGEST_LENGTH_BYTES):
        byte = _receive(connection, 1)[0]
        length |= (byte & 0x7F) << (7 * position)
        if not byte & 0x80:
            break
    return kind, _receive(connection, length)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        received = connection.recv(count - len(data))
        if not received:
            raise NoBroker("the connection was closed before an answer")
        data += received
    return data


def _payload(body: bytes) -> str:
    topic_bytes = int.from_bytes(body[:2], "big")
    # A retained message of the broker's own has no properties, so their length is one byte.
    properties_bytes = body[2 + topic_bytes]
    return body[3 + topic_bytes + properties_bytes :].decode("utf-8", "replace")
