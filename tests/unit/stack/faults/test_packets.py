"""MQTT packets as bytes, and a stream of them in any pieces."""

from hypothesis import given
from hypothesis import strategies as some

from stack.faults import packets
from stack.faults.packets import PacketSplitter

STREAM = [
    packets.connect("one", "one", "secret"),
    packets.publish("telemetry/s/d/m", b"x" * 300, 1, 7),
    packets.answer(packets.PUBACK, 7),
    packets.packet(packets.DISCONNECT, b""),
]


@given(some.lists(some.integers(1, 50), min_size=1))
def test_packets_come_out_whole_whatever_the_pieces(sizes: list[int]) -> None:
    stream, splitter = b"".join(STREAM), PacketSplitter()
    found: list[bytes] = []
    taken = 0
    while stream:
        size = sizes[taken % len(sizes)]
        taken += 1
        piece, stream = stream[:size], stream[size:]
        found += splitter.feed(piece)

    assert found == STREAM


def test_a_publish_is_as_the_standard_has_it() -> None:
    sent = packets.publish("a/b", b"{}", 1, 0x102, dup=True)

    # 3.3: first byte with DUP and QoS 1, length, topic, packet identifier, no properties, payload.
    assert sent == b"\x3a\x0a\x00\x03a/b\x01\x02\x00{}"


def test_a_content_type_is_a_property() -> None:
    sent = packets.publish("a", b"", 0, content_type="t")

    assert sent == b"\x30\x08\x00\x01a\x04\x03\x00\x01t"


def test_a_reason_that_is_left_out_is_success() -> None:
    assert packets.reason_of(b"\x40\x02\x00\x07") == packets.SUCCESS
    assert packets.reason_of(b"\x40\x03\x00\x07\x87") == 0x87
    assert packets.reason_of(b"\x20\x03\x00\x86\x00") == 0x86
    assert packets.reason_of(b"\xe0\x02\x95\x00") == packets.PACKET_TOO_LARGE
    assert packets.reason_of(b"\xe0\x00") == packets.SUCCESS


def test_the_packet_identifier_stands_behind_a_length_of_any_size() -> None:
    assert packets.packet_id_of(b"\x40\x02\x01\x02") == 0x102
    assert packets.packet_id_of(packets.packet(packets.PUBACK, b"\x01\x02" + bytes(200))) == 0x102
