"""MQTT 5 packets as bytes: what a raw device sends, and a stream cut into whole packets.

Source: MQTT 5.0, chapters 2 and 3. No socket in here.
"""

CONNECT, CONNACK, PUBLISH, PUBACK = 0x10, 0x20, 0x30, 0x40
PUBREC, PUBREL, PUBCOMP, DISCONNECT = 0x50, 0x62, 0x70, 0xE0
SUBSCRIBE, SUBACK = 0x82, 0x90
SUCCESS, PACKET_TOO_LARGE = 0x00, 0x95

_PROTOCOL = b"\x00\x04MQTT\x05"
_USER_PASSWORD_CLEAN = 0x80 | 0x40 | 0x02
_DUP = 0x08
_CONTENT_TYPE, _RECEIVE_MAXIMUM = 0x03, 0x21


def connect(
    client_id: str,
    user: str,
    password: str,
    *,
    keepalive_seconds: int = 60,
    receive_maximum: int | None = None,
) -> bytes:
    """Encode a CONNECT with clean start."""
    body = _PROTOCOL + bytes([_USER_PASSWORD_CLEAN]) + keepalive_seconds.to_bytes(2, "big")
    properties = b""
    if receive_maximum is not None:
        properties = bytes([_RECEIVE_MAXIMUM]) + receive_maximum.to_bytes(2, "big")
    body += length(len(properties)) + properties
    return packet(CONNECT, body + b"".join(map(text, (client_id, user, password))))


def subscribe(topic: str, qos: int, packet_id: int = 1) -> bytes:
    """Encode a SUBSCRIBE to one topic."""
    return packet(SUBSCRIBE, packet_id.to_bytes(2, "big") + b"\x00" + text(topic) + bytes([qos]))


def publish(
    topic: str | bytes,
    payload: bytes,
    qos: int,
    packet_id: int = 0,
    *,
    dup: bool = False,
    content_type: str | None = None,
) -> bytes:
    """Encode a PUBLISH; a topic of bytes need not be UTF-8."""
    identifier = packet_id.to_bytes(2, "big") if qos else b""
    properties = b"" if content_type is None else bytes([_CONTENT_TYPE]) + text(content_type)
    kind = PUBLISH | qos << 1 | (_DUP if dup else 0)
    head = text(topic) + identifier + length(len(properties)) + properties
    return packet(kind, head + payload)


def answer(kind: int, packet_id: int) -> bytes:
    """Encode a PUBACK, PUBREC, PUBREL or PUBCOMP that says success."""
    return bytes([kind, 2]) + packet_id.to_bytes(2, "big")


def packet(kind: int, body: bytes) -> bytes:
    """Encode a packet: its first byte, its length, and what follows."""
    return bytes([kind]) + length(len(body)) + body


def text(value: str | bytes) -> bytes:
    """Encode a text with its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return len(data).to_bytes(2, "big") + data


def length(number: int) -> bytes:
    """Encode a variable byte integer."""
    low, high = number % 128, number // 128
    return bytes([low | 0x80]) + length(high) if high else bytes([low])


def body_of(whole: bytes) -> bytes:
    """Return what follows a packet's first byte and length."""
    start = 2
    while whole[start - 1] & 0x80:
        start += 1
    return whole[start:]


def packet_id_of(answered: bytes) -> int:
    """Return the packet identifier of a PUBACK, PUBREC, PUBREL or PUBCOMP."""
    return int.from_bytes(body_of(answered)[:2], "big")


def reason_of(answered: bytes) -> int:
    """Return the reason code of an answer, a CONNACK or a DISCONNECT; left out it is success."""
    place = {CONNACK: 1, DISCONNECT: 0}.get(answered[0], 2)
    body = body_of(answered)
    return body[place] if len(body) > place else SUCCESS


class PacketSplitter:
    """Cuts a stream of bytes into whole packets, whatever the pieces in which it comes."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the packets that are complete with them."""
        self._rest += data
        found: list[bytes] = []
        while (size := self._size()) is not None and len(self._rest) >= size:
            found.append(bytes(self._rest[:size]))
            del self._rest[:size]
        return found

    @property
    def holds_part(self) -> bool:
        """Whether it waits for the rest of a packet."""
        return bool(self._rest)

    def _size(self) -> int | None:
        number = 0
        for place, digit in enumerate(self._rest[1:5]):
            number |= (digit & 0x7F) << 7 * place
            if not digit & 0x80:
                return 2 + place + number
        return None
