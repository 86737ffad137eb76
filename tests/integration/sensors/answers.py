"""What a scripted broker answers to a device, and what it reads in the device's packets."""

import struct

from tests.scripted_broker import Packet, ScriptedBroker, packet

QOS_1_PUBLISH, RETAINED_PUBLISH, QOS_2_PUBLISH = 0x32, 0x33, 0x34


def answer(broker: ScriptedBroker, kind: int, packet_id: int, reason: int = 0) -> None:
    broker.send(packet(kind, struct.pack("!HB", packet_id, reason)))


def published_id(published: Packet) -> int:
    (topic_bytes,) = struct.unpack_from("!H", published.body)
    return int.from_bytes(published.body[2 + topic_bytes : 4 + topic_bytes], "big")


def published_payload(published: Packet) -> bytes:
    """Return the payload of a PUBLISH at QoS 1 or 2 without properties."""
    (topic_bytes,) = struct.unpack_from("!H", published.body)
    return published.body[5 + topic_bytes :]
