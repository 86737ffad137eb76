"""MQTT 5 packets out of a stream: plain PUBLISHes in one step, all others as their bytes.

Source: MQTT 5.0, chapters 2 and 3. No socket in here.
"""

from collections.abc import Callable

_PUBLISH, _TYPE, _QOS = 0x30, 0xF0, 0x06
_MORE, _LOW_BITS, _LAST_SHIFT = 0x80, 0x7F, 21
_LEAST_BYTES = 2  # of a packet: its first byte, and its length
_MOST_TOPICS = 100_000

OnPublish = Callable[[str, bytes, int, int], None]
"""Takes topic, payload, the packet's first byte, and its identifier (0 at QoS 0)."""

OnPacket = Callable[[int, bytes], None]
"""Takes the first byte of a packet, and what follows its length."""


class MalformedPacket(ValueError):
    """Raised where a stream is no MQTT: nothing behind that place can be read."""


class PacketReader:
    """Cuts a stream into packets, whatever the pieces in which it comes.

    A PUBLISH is plain where it has no properties and a topic that is UTF-8 and does not begin with
    one of `others`. All else is handed on as it is, among it what is not as it should be.
    """

    def __init__(
        self, on_publish: OnPublish, on_packet: OnPacket, *, others: tuple[str, ...] = ()
    ) -> None:
        self._on_publish = on_publish
        self._on_packet = on_packet
        self._others = others
        self._parts: list[bytes] = []
        self._lacking_bytes = 0
        # A topic is the same object in each of its messages: held once, and its hash is known.
        self._topics: dict[bytes, str] = {}

    def feed(self, data: bytes) -> None:
        """Take bytes, and hand on the packets that are complete with them.

        Raises MalformedPacket.
        """
        if self._parts:
            self._parts.append(data)
            self._lacking_bytes -= len(data)
            if self._lacking_bytes > 0:
                return
            data = b"".join(self._parts)
        size = len(data)
        at, end = 0, _LEAST_BYTES
        while end <= size:
            head, length, start = data[at], data[at + 1], at + 2
            if length & _MORE:
                # By far the most lengths have one byte or two.
                if start < size and not data[start] & _MORE:
                    length += (data[start] << 7) - _MORE
                    start += 1
                else:
                    start, length = _long_length(data, start, length)
            end = start + length
            if end > size:
                break
            if head & _TYPE != _PUBLISH or not self._take(data, head, start, end):
                self._on_packet(head, data[start:end])
            at, end = end, end + _LEAST_BYTES
        self._parts = [data[at:]] if at < size else []
        self._lacking_bytes = end - size

    def _take(self, data: bytes, head: int, start: int, end: int) -> bool:
        """Hand a PUBLISH on if it is plain."""
        if end - start < _LEAST_BYTES:
            return False
        name_end = start + 2 + (data[start] << 8 | data[start + 1])
        qos = head & _QOS
        properties_at = name_end + 2 if qos else name_end
        if properties_at >= end or data[properties_at] or qos == _QOS:
            return False
        name = data[start + 2 : name_end]
        topic = self._topics.get(name) or self._learn(name)
        if not topic:
            return False
        packet_id = data[name_end] << 8 | data[name_end + 1] if qos else 0
        self._on_publish(topic, data[properties_at + 1 : end], head, packet_id)
        return True

    def _learn(self, name: bytes) -> str:
        """Return a topic as text, to be known from now on; an empty one where it is not plain."""
        try:
            topic = name.decode()
        except UnicodeDecodeError:
            return ""
        if topic.startswith(self._others):
            return ""
        if len(self._topics) >= _MOST_TOPICS:
            self._topics.clear()
        self._topics[name] = topic
        return topic


def _long_length(data: bytes, at: int, length: int) -> tuple[int, int]:
    """Return where a packet's content begins and how long it is, from its length's second byte on.

    Where the length is not complete, the content begins behind the end of what there is.
    """
    length &= _LOW_BITS
    for shift in range(7, _LAST_SHIFT + 1, 7):
        if at == len(data):
            return at + 1, 0
        length |= (data[at] & _LOW_BITS) << shift
        at += 1
        if not data[at - 1] & _MORE:
            return at, length
    raise MalformedPacket("a length of more than four bytes")  # [MQTT-1.5.5-1] and 1.5.5
