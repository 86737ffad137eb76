"""The acknowledgements that a connection owes, and what QoS 2 has to remember of those it gave."""

import struct
from collections.abc import Sequence

from ingest.message import Receipt

PUBACK, PUBREC = 0x40, 0x50
ANSWERS = (0, PUBACK, PUBREC)
"""What a PUBLISH is answered with, by its QoS."""

_SUCCESS_BYTES = 2  # of an answer without reason code: the packet identifier


class PacketReceipt(Receipt):
    """A PUBACK or PUBREC that is owed; `digest` stands for the content of a QoS 2 message."""

    __slots__ = ("command", "digest", "packet_id")

    def __init__(self, command: int, packet_id: int) -> None:
        # As the base class does it: one is made for each message, and a further call is dear.
        self.pending = self.readings = self.unnamed = self.digest = 0
        self.rejected = ()
        self.is_whole = False
        self.command = command
        self.packet_id = packet_id


def encode(receipts: Sequence[PacketReceipt]) -> bytes:
    """Return the answers as their packets, in order; each is four bytes."""
    words = [one.command << 24 | _SUCCESS_BYTES << 16 | one.packet_id for one in receipts]
    return struct.pack(f">{len(words)}I", *words)


class Unreleased:
    """The QoS 2 messages that were acknowledged with PUBREC and not released with PUBREL yet.

    They belong to the session and outlive a connection: one that comes again is answered, and not
    handed on a second time [MQTT-4.3.3-10]. It is known by its content as well, since Mosquitto
    2.0.11 may have one packet identifier on its way twice.
    """

    def __init__(self) -> None:
        self._digests: dict[int, int] = {}

    def add(self, packet_id: int, digest: int) -> None:
        """Note a message whose PUBREC leaves now."""
        self._digests[packet_id] = digest

    def release(self, packet_id: int) -> None:
        """Forget a message: the broker will not send it again."""
        self._digests.pop(packet_id, None)

    def holds(self, packet_id: int, digest: int) -> bool:
        """Tell whether this very message was acknowledged before."""
        return self._digests.get(packet_id) == digest

    def clear(self) -> None:
        """Forget all: the session is another one."""
        self._digests.clear()
