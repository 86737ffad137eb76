"""PUBLISHes cut out of a stream: the same packets, whatever the pieces in which it comes."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ingest.hotpath.packets import MalformedPacket, PacketReader
from stack.faults import packets

Event = tuple[str | int, bytes, int, int] | tuple[int, bytes]


def events(pieces: list[bytes]) -> list[Event]:
    found: list[Event] = []
    reader = PacketReader(
        lambda topic, payload, head, packet_id: found.append((topic, payload, head, packet_id)),
        lambda head, body: found.append((head, body)),
    )
    for piece in pieces:
        reader.feed(piece)
    return found


def publishes() -> st.SearchStrategy[bytes]:
    """PUBLISHes of every level, with and without what makes them plain."""
    topics = st.sampled_from(["t", "a/b", "ü/é", b"\xff/a", "x" * 300]) | st.just("")
    return st.builds(
        packets.publish,
        topics,
        st.binary(max_size=300),
        st.integers(0, 2),
        st.integers(0, 65_535),
        dup=st.booleans(),
        content_type=st.none() | st.just("text/plain"),
    )


def any_packets() -> st.SearchStrategy[bytes]:
    """PUBLISHes, and packets of any type and content."""
    return publishes() | st.builds(packets.packet, st.integers(0, 255), st.binary(max_size=300))


def expected(packet: bytes) -> Event:
    """Return what is handed on of one packet, worked out step by step."""
    head, body = packet[0], packets.body_of(packet)
    qos = head >> 1 & 3
    if head >> 4 != 3 or qos == 3 or len(body) < 2:
        return head, body
    topic, rest = body[2 : 2 + int.from_bytes(body[:2], "big")], b""
    rest = body[2 + int.from_bytes(body[:2], "big") :]
    packet_id = int.from_bytes(rest[:2], "big") if qos else 0
    behind_id = rest[2:] if qos else rest
    if not behind_id.startswith(b"\x00"):
        return head, body
    try:
        text = topic.decode()
    except UnicodeDecodeError:
        return head, body
    return (text, behind_id[1:], head, packet_id) if text else (head, body)


@given(st.lists(any_packets(), max_size=8), st.lists(st.integers(0, 2_000), max_size=12))
@example([packets.packet(0x30, b"")], [1])
@example([packets.packet(0x32, b"\x00\x05ab")], [])
@example([packets.packet(0x36, b"\x00\x01t\x00\x07\x00no level")], [])
def test_any_packets_cut_anywhere_are_handed_on_whole_and_in_order(
    stream: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(stream)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[begin:end] for begin, end in pairwise(places)]

    assert events(pieces) == [expected(packet) for packet in stream]


def test_a_packet_is_handed_on_with_its_last_byte() -> None:
    data = packets.publish("t", b"x" * 20_000, 1, 7)

    assert events([data[:-1]]) == []
    assert events([bytes([byte]) for byte in data]) == [("t", b"x" * 20_000, 0x32, 7)]


def test_a_length_of_more_than_four_bytes_is_no_mqtt() -> None:
    """[MQTT-1.5.5-1] and what stands above it: the fourth byte is the last one."""
    with pytest.raises(MalformedPacket):
        events([b"\x30\xff\xff\xff\xff\x01"])


def test_the_topic_of_many_messages_is_held_once() -> None:
    first, second = events([packets.publish("a/b", b"1", 0), packets.publish("a/b", b"2", 0)])

    assert first[0] is second[0]
