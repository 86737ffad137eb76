"""A broker in memory: a session's queue, what is unacknowledged, and what comes again after a cut.

It speaks no bytes. A `Link` is one connection, from the broker's deliveries to the acknowledgements
that the broker has heard; it uses ingest's own receipts and its own memory of QoS 2 handshakes.
"""

from typing import NamedTuple

from ingest.intake import Intake
from ingest.message import Message, Receipts
from ingest.sources.mqtt.packet_receipts import PacketReceipt, Unreleased
from tests.ingest_parts import TOPIC

PUBACK, PUBREC = 0x40, 0x50


class Published(NamedTuple):
    """A message as its device published it, known by its number."""

    number: int
    qos: int
    payload: bytes


class ModelBroker:
    """The session of one ingest: what waits, and what was sent and is not done yet."""

    def __init__(self) -> None:
        self.waiting: list[Published] = []
        self.sent: dict[int, Published] = {}  # by packet identifier, in order of delivery
        self.released: dict[int, Published] = {}  # PUBREC was heard: only PUBREL may follow
        self.acknowledged: set[int] = set()

    def holds(self) -> set[int]:
        """The numbers of what the broker still has."""
        return {one.number for one in (*self.waiting, *self.sent.values())}

    def hear(self, receipt: PacketReceipt) -> None:
        """Take an acknowledgement: the broker forgets what it was for."""
        published = self.sent.pop(receipt.packet_id)
        self.acknowledged.add(published.number)
        if receipt.command == PUBREC:
            self.released[receipt.packet_id] = published

    def free_packet_id(self) -> int:
        """Return the lowest identifier that is not in use, so that they are used again soon."""
        return next(one for one in range(1, 65_536) if one not in self.sent | self.released)


class Link:
    """One connection between the broker and an intake."""

    def __init__(self, broker: ModelBroker, intake: Intake, unreleased: Unreleased) -> None:
        self._broker = broker
        self._intake = intake
        self._unreleased = unreleased
        self._arrived: list[int] = []  # packet identifiers, in the order of their delivery
        self._again = list(broker.sent)
        self.wire: list[PacketReceipt] = []  # sent by ingest, not heard by the broker yet
        self.receipts = Receipts(self._acknowledge)

    def deliver(self, arrival_ms: int) -> bool:
        """Deliver the next message, those that come again first; False where there is none."""
        if not self._intake.has_room():
            return False
        if self._again:
            packet_id = self._again.pop(0)
            self._hand_on(packet_id, self._broker.sent[packet_id], arrival_ms, dup=True)
            return True
        if not self._broker.waiting:
            return False
        packet_id, published = self._broker.free_packet_id(), self._broker.waiting.pop(0)
        if published.qos:
            self._broker.sent[packet_id] = published
        self._hand_on(packet_id, published, arrival_ms, dup=False)
        return True

    def hear(self) -> None:
        """Let the broker hear what is on the wire, and end the handshakes of QoS 2."""
        while self.wire:
            self._broker.hear(self.wire.pop(0))
        for packet_id in list(self._broker.released):
            self._unreleased.release(packet_id)
            del self._broker.released[packet_id]

    def cut(self) -> None:
        """Break: what is on the wire is lost, and what is held here is acknowledged no more."""
        self.receipts.forget()
        self.wire.clear()

    def _hand_on(self, packet_id: int, one: Published, arrival_ms: int, *, dup: bool) -> None:
        receipt = None
        if one.qos:
            receipt = self.receipts.owe(
                PacketReceipt(PUBREC if one.qos == 2 else PUBACK, packet_id)
            )
            receipt.digest = hash((TOPIC, one.payload))
            self._arrived.append(packet_id)
            if dup and one.qos == 2 and self._unreleased.holds(packet_id, receipt.digest):
                receipt.pending = 0
                self.receipts.release()
                return
        self._intake.accept(Message(TOPIC, one.payload, one.qos, arrival_ms, dup, None, receipt))

    def _acknowledge(self, ready: list[PacketReceipt]) -> None:
        for receipt in ready:
            assert receipt.packet_id == self._arrived.pop(0), "not in the order of arrival"
            if receipt.command == PUBREC:
                self._unreleased.add(receipt.packet_id, receipt.digest)
        self.wire += ready
