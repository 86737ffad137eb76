"""What ingest makes of a stream of MQTT packets, written plainly: one packet after another.

The hot path (ingest.hotpath) is held to it: the same readings, refusals and answers.
"""

from msgspec import Struct, field

from stack.faults import packets
from telemetry.payload import PayloadError, decode
from telemetry.reading import Reading
from telemetry.topics import TopicError, TopicRouter

AHEAD_MS = 5 * 60 * 1000
_DUP, _QOS = 0x08, 0x06


class Expected(Struct):
    """The readings in their order, what was refused, and each answer to the broker in its order."""

    readings: list[Reading] = field(default_factory=list)
    refused: list[tuple[bytes, int | None]] = field(default_factory=list)
    answers: bytes = b""
    messages: int = 0


def read(
    stream: list[bytes], router: TopicRouter, *, arrival_ms: int, retention_ms: int
) -> Expected:
    """Return what comes of packets, each a PUBLISH without or with a content type."""
    expected = Expected()
    for packet in stream:
        qos = (packet[0] & _QOS) >> 1
        topic, packet_id, content_type, payload = _parts(packets.body_of(packet), qos)
        expected.messages += 1
        _take(expected, topic, content_type, payload, router, arrival_ms, retention_ms)
        if qos:
            kind = packets.PUBACK if qos == 1 else packets.PUBREC
            expected.answers += packets.answer(kind, packet_id)
    return expected


def _take(
    expected: Expected,
    topic: bytes,
    content_type: str | None,
    payload: bytes,
    router: TopicRouter,
    arrival_ms: int,
    retention_ms: int,
) -> None:
    try:
        route = router.route(topic.decode())
        decoded = decode(
            payload,
            route.address,
            arrival_ms=arrival_ms,
            content_type=content_type,
            template_format=route.format,
            field=route.field,
        )
    except (PayloadError, TopicError, UnicodeDecodeError):
        expected.refused.append((payload, None))
        return
    expected.refused += [(payload, one.index) for one in decoded.rejected]
    places = decoded.places_of_readings() or list(range(len(decoded.readings)))
    for place, reading in zip(places, decoded.readings, strict=True):
        if arrival_ms - retention_ms <= reading.time_ms <= arrival_ms + AHEAD_MS:
            expected.readings.append(reading)
        else:
            is_whole = places == [0]
            expected.refused.append((payload, None if is_whole else place))


def _parts(body: bytes, qos: int) -> tuple[bytes, int, str | None, bytes]:
    """Return topic, packet identifier, content type and payload of a PUBLISH."""
    end = 2 + int.from_bytes(body[:2], "big")
    topic, rest, packet_id = body[2:end], body[end:], 0
    if qos:
        packet_id, rest = int.from_bytes(rest[:2], "big"), rest[2:]
    size = rest[0]  # of the properties: a content type at the most, below 128 bytes
    properties, payload = rest[1 : 1 + size], rest[1 + size :]
    return topic, packet_id, properties[3:].decode() if properties else None, payload
