"""The few MQTT 5 packets that a load generator and a bare subscriber exchange, ready to send.

Source: MQTT 5.0, sections 2.1 (fixed header), 3.1 (CONNECT), 3.3 (PUBLISH), 3.8 (SUBSCRIBE).
"""

from collections.abc import Iterator

CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK = 2, 3, 4, 5, 6, 7, 9
MOST_IN_FLIGHT = 65_535

_NO_PROPERTIES = b"\x00"
_RECEIVE_MAXIMUM = b"\x21"
_KEEPALIVE_SECONDS = 600


def connect(client_id: str, user: str, password: str) -> bytes:
    """Return a CONNECT that starts clean and takes as much in flight as the protocol knows."""
    properties = b"\x03" + _RECEIVE_MAXIMUM + MOST_IN_FLIGHT.to_bytes(2)
    body = b"\x00\x04MQTT\x05\xc2" + _KEEPALIVE_SECONDS.to_bytes(2) + properties
    return _packet(0x10, body + _text(client_id) + _text(user) + _text(password))


def subscribe(topic: str, qos: int) -> bytes:
    """Return a SUBSCRIBE to one topic."""
    return _packet(0x82, b"\x00\x01" + _NO_PROPERTIES + _text(topic) + bytes([qos]))


def publish(topic: str, payload: bytes, qos: int, packet_id: int) -> bytes:
    """Return a PUBLISH; at QoS 0 without its packet id."""
    number = packet_id.to_bytes(2) if qos else b""
    return _packet(0x30 | qos << 1, _text(topic) + number + _NO_PROPERTIES + payload)


def acknowledgement(kind: int, packet_id: bytes) -> bytes:
    """Return a PUBACK, PUBREC, PUBREL or PUBCOMP that says success."""
    return bytes([kind << 4 | (2 if kind == PUBREL else 0), 2]) + packet_id


class PacketReader:
    """Cuts a stream into packets, wherever it was cut before."""

    def __init__(self) -> None:
        self._rest = b""

    def packets(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Yield the kind, flags and body of each packet that is complete."""
        data = self._rest + data if self._rest else data
        begin, end = 0, len(data)
        while begin + 2 <= end:
            length, at, shift = data[begin + 1], begin + 2, 7
            if length & 0x80:
                length &= 0x7F
                while at < end:
                    digit = data[at]
                    length |= (digit & 0x7F) << shift
                    at, shift = at + 1, shift + 7
                    if not digit & 0x80:
                        break
                else:
                    break
            if at + length > end:
                break
            first = data[begin]
            yield first >> 4, first & 0x0F, data[at : at + length]
            begin = at + length
        self._rest = data[begin:]


def _packet(first: int, body: bytes) -> bytes:
    length, size = b"", len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (0x80 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2) + encoded
