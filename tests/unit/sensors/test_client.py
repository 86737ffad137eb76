"""The PUBLISH that leaves past paho's queue is the one that paho would have sent."""

from hypothesis import given
from hypothesis import strategies as st

from sensors.ways.mqtt.client import Client, Connect, publish_packet
from sensors.ways.mqtt.manner import expiring


class Listening(Client):
    """Keeps what paho queues, and has no socket."""

    def __init__(self) -> None:
        super().__init__(Connect("h", 1, "a", "p", 10, 1.0), lambda *_: None)
        self._sock = object()  # type: ignore[assignment]
        self.packet = b""

    def _packet_queue(self, command: int, packet: bytes, *_rest: object) -> int:  # type: ignore[override]  # noqa: ARG002
        self.packet = bytes(packet)
        self._sock = None
        return 0


@given(
    packet_id=st.integers(16, 65_535),
    topic=st.binary(min_size=1, max_size=300),
    payload=st.one_of(st.binary(max_size=300), st.just(b"x" * 20_000), st.just(b"x" * 2_100_000)),
    qos=st.integers(0, 2),
    retain=st.booleans(),
    expiry=st.sampled_from([None, 1, 2**32 - 1]),
)
def test_a_packet_is_byte_for_byte_pahos(
    packet_id: int, topic: bytes, payload: bytes, qos: int, retain: bool, expiry: int | None
) -> None:
    paho, properties = Listening(), expiring(expiry)
    paho._queue(packet_id, topic, payload, qos, retain, properties)
    packed = b"\0" if properties is None else properties.pack()
    assert publish_packet(packet_id, topic, payload, qos, retain, packed) == paho.packet
