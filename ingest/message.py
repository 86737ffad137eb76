"""A message on its way through ingest, and the receipt by which its source is told of its end."""

from collections import deque
from collections.abc import Callable

from msgspec import Struct


class Receipt:
    """What a source owes the sender of one message: an acknowledgement, once every part is durable.

    `pending` counts the parts (a batch, a quarantine record) that are not durable yet; `digest`
    stands for the content of a QoS 2 message, by which a connection knows it again.
    """

    __slots__ = ("command", "digest", "packet_id", "pending", "receipts")

    def __init__(self, receipts: "Receipts", command: int, packet_id: int) -> None:
        self.receipts = receipts
        self.command = command
        self.packet_id = packet_id
        self.pending = 0
        self.digest = 0


class Receipts:
    """The receipts of one connection, honoured in the order in which their messages came.

    [MQTT-4.6.0-2] and [MQTT-4.6.0-3]: PUBACK and PUBREC leave in the order of their PUBLISH.
    """

    def __init__(self, acknowledge: Callable[[list[Receipt]], None]) -> None:
        self._acknowledge = acknowledge
        self._owed: deque[Receipt] = deque()

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, command: int, packet_id: int) -> Receipt:
        """Note an acknowledgement that is owed, and hold it until its parts are durable."""
        receipt = Receipt(self, command, packet_id)
        # Until the pipeline has taken the message, it is a part that nobody keeps.
        receipt.pending = 1
        self._owed.append(receipt)
        return receipt

    def release(self) -> None:
        """Acknowledge what is durable, up to the first message that is not."""
        ready: list[Receipt] = []
        while self._owed and self._owed[0].pending == 0:
            ready.append(self._owed.popleft())
        if ready:
            self._acknowledge(ready)

    def forget(self) -> None:
        """Drop what is owed: the connection is gone, and with it its packet identifiers."""
        self._owed.clear()


def settle(receipts: list[Receipt]) -> None:
    """Note that one part of each receipt is durable, and acknowledge what is now complete."""
    for receipt in receipts:
        receipt.pending -= 1
    for connection in {receipt.receipts for receipt in receipts}:
        connection.release()


class Message(Struct, gc=False):
    """One message as a source received it; `receipt` is None at QoS 0."""

    topic: str | bytes
    payload: bytes
    qos: int
    arrival_ms: int
    dup: bool = False
    content_type: str | None = None
    receipt: Receipt | None = None
