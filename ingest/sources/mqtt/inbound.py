"""What comes over one connection: messages for the intake, and the answers that they are owed."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from ingest.hotpath.packets import OnPacket, PacketReader
from ingest.message import Message, Receipts
from ingest.sources.mqtt.packet_receipts import (
    ANSWERS,
    PUBREC,
    PacketReceipt,
    Unreleased,
    encode,
)
from ingest.tally import Tally

_DUP, _QOS = 0x08, 0x03
_EXACTLY_ONCE, _NO_LEVEL = 2, 3
_PACKET_ID_BYTES = 2


class Receiver(Protocol):
    """What takes a connection's messages; its methods must not raise."""

    def accept(self, message: Message) -> None:
        """Take a reading's message over."""

    def refuse(self, message: Message, reason: str) -> None:
        """Take over a message that could not be read."""

    def count(self, messages: int) -> None:
        """Count messages that were just taken over."""

    def notice(self, topic: str, payload: bytes) -> None:
        """Take word of the broker itself, or of another ingest."""

    def has_room(self) -> bool:
        """Tell whether more can be taken."""

    async def room(self) -> None:
        """Wait until more can be taken: the socket is not read meanwhile."""


class Inbound:
    """Takes a connection's bytes, and acknowledges by `send` what is durable.

    Plain messages go straight to the receiver, all other packets to `on_packet`. What of those is a
    message comes back by `owe` and `deliver`, or by `refuse`. `arrivals` counts what was in the
    broker's window.
    """

    def __init__(
        self,
        receiver: Receiver,
        *,
        notices: Sequence[str],
        unreleased: Unreleased,
        tally: Tally,
        on_packet: OnPacket,
        send: Callable[[bytes], bool],
    ) -> None:
        self._receiver = receiver
        self._noticed = tuple(notices)
        self._unreleased = unreleased
        self._tally = tally
        self._send = send
        self._reader = PacketReader(self._take_plain, on_packet, others=self._noticed)
        self._arrival_ms = 0
        self._arriving: PacketReceipt | None = None
        self._messages = 0
        self.arrivals = 0
        self.receipts = Receipts(self._acknowledge)

    def feed(self, data: bytes) -> int:
        """Take bytes; return how many messages came with them. Raises MalformedPacket."""
        self._arrival_ms = now_ms()
        self._messages = 0
        try:
            self._reader.feed(data)
        finally:
            self.arrivals += self._messages
            if self._messages:
                self._receiver.count(self._messages)
        return self._messages

    def owe(self, command: int, packet_id: int) -> None:
        """Note the acknowledgement of the message that is delivered next."""
        self._arriving = self.receipts.owe(PacketReceipt(command, packet_id))

    def deliver(
        self, topic: str | bytes, payload: bytes, qos: int, dup: bool, content_type: str | None
    ) -> None:
        """Hand on a message that is not plain, unless it is word of the broker or comes again."""
        receipt, self._arriving = self._arriving, None
        if receipt is not None and qos == _EXACTLY_ONCE:
            receipt.digest = hash((topic, payload))
            if dup and self._unreleased.holds(receipt.packet_id, receipt.digest):
                self._tally.duplicate_messages += 1
                self.arrivals += 1
                self._finish(receipt)
                return
        if isinstance(topic, str) and topic.startswith(self._noticed):
            if receipt is not None:
                self._finish(receipt)
            self._receiver.notice(topic, payload)
            return
        self._messages += 1
        self._receiver.accept(
            Message(topic, payload, qos, self._arrival_ms, dup, content_type, receipt)
        )

    def refuse(self, head: int, packet: bytes) -> bool:
        """Hand on a message that cannot be read; False where no acknowledgement could name it."""
        qos = head >> 1 & _QOS
        topic, rest = _split_text(packet)
        if qos == _NO_LEVEL or (qos and len(rest) < _PACKET_ID_BYTES):
            return False  # [MQTT-3.3.1-4]
        if qos and self._arriving is None:
            self.owe(ANSWERS[qos], int.from_bytes(rest[:_PACKET_ID_BYTES], "big"))
        receipt, self._arriving = self._arriving, None
        self._messages += 1
        message = Message(topic, rest, qos, self._arrival_ms, receipt=receipt)
        self._receiver.refuse(message, "not a readable PUBLISH")
        return True

    def _take_plain(self, topic: str, payload: bytes, head: int, packet_id: int) -> None:
        qos, dup = head >> 1 & _QOS, head & _DUP != 0
        receipt = self.receipts.owe(PacketReceipt(ANSWERS[qos], packet_id)) if qos else None
        if qos == _EXACTLY_ONCE:
            self._arriving = receipt
            self.deliver(topic, payload, qos, dup, None)
            return
        self._messages += 1
        self._receiver.accept(Message(topic, payload, qos, self._arrival_ms, dup, None, receipt))

    def _acknowledge(self, receipts: list[PacketReceipt]) -> None:
        if not self._send(encode(receipts)):
            return
        self._tally.acknowledged_messages += len(receipts)
        for receipt in receipts:
            if receipt.command == PUBREC:
                self._unreleased.add(receipt.packet_id, receipt.digest)

    def _finish(self, receipt: PacketReceipt) -> None:
        receipt.pending = 0
        self.receipts.release()


def now_ms() -> int:
    """Return the time, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def _split_text(packet: bytes) -> tuple[bytes, bytes]:
    """Return the text with which a packet begins, and what follows it."""
    end = 2 + int.from_bytes(packet[:2], "big")
    return packet[2:end], packet[end:]
