"""Asking a broker whether it takes a client: one MQTT 5 CONNECT over a plain socket.

Source: MQTT 5.0, sections 3.1 (CONNECT) and 3.2 (CONNACK).
"""

import socket
import ssl

ACCEPTED = 0x00
BAD_CREDENTIALS = 0x86
NOT_AUTHORIZED = 0x87

_CONNECT, _CONNACK, _DISCONNECT = 0x10, 0x20, b"\xe0\x00"
_PROTOCOL = b"\x00\x04MQTT\x05"
_USER, _PASSWORD, _CLEAN_START = 0x80, 0x40, 0x02
_KEEPALIVE_SECONDS = 10


class NoBroker(Exception):
    """Raised when what listens, if anything does, does not answer as an MQTT 5 broker."""


def connect_reason(
    host: str,
    port: int,
    user: str | None,
    password: str | None,
    *,
    tls: ssl.SSLContext | None = None,
    timeout_seconds: float = 2.0,
) -> int:
    """Connect, leave at once and return the broker's reason code (0x00 is accepted)."""
    try:
        with _connected(host, port, tls, timeout_seconds) as connection:
            connection.sendall(_connect_packet(user, password))
            reason = _connack_reason(connection)
            if reason == ACCEPTED:
                connection.sendall(_DISCONNECT)
            return reason
    except OSError as error:
        raise NoBroker(f"{host}:{port}: {error}") from error


def _connected(
    host: str, port: int, tls: ssl.SSLContext | None, timeout_seconds: float
) -> socket.socket:
    plain = socket.create_connection((host, port), timeout=timeout_seconds)
    if tls is None:
        return plain
    # It closes the plain one also where the handshake fails.
    return tls.wrap_socket(plain, server_hostname=host)


def _connect_packet(user: str | None, password: str | None) -> bytes:
    flags = _CLEAN_START | (_USER if user is not None else 0)
    flags |= _PASSWORD if password is not None else 0
    no_properties = b"\x00"
    # An empty client id lets the broker choose one, so that a probe never takes a session over.
    body = _PROTOCOL + bytes([flags, 0, _KEEPALIVE_SECONDS]) + no_properties + _text("")
    body += b"".join(_text(text) for text in (user, password) if text is not None)
    return bytes([_CONNECT]) + _variable_length(len(body)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _variable_length(length: int) -> bytes:
    low, high = length % 128, length // 128
    return bytes([low | 0x80]) + _variable_length(high) if high else bytes([low])


def _connack_reason(connection: socket.socket) -> int:
    head = b""
    # Type, length (one byte: a CONNACK's properties are short, or the reason would be unread),
    # session flag and reason; a longer length moves the last two by a byte.
    while len(head) < 4 or (head[1] & 0x80 and len(head) < 5):
        received = connection.recv(8)
        if not received:
            raise NoBroker("the connection was closed before a CONNACK")
        head += received
    if head[0] != _CONNACK:
        raise NoBroker(f"answered packet type {head[0]:#x}, not CONNACK")
    return head[4] if head[1] & 0x80 else head[3]
