"""A message on its way through ingest, and the receipt by which its source is told of its end."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from ingest.grant import Grant
from telemetry.payload import Rejected
from telemetry.reading import Address

MOST_NAMED = 500
"""So many rejected readings of a message its sender is told of: noise may hold thousands."""


class Receipt:
    """What a source owes the sender of one message: an answer, once every part is durable.

    `pending` counts the parts (a batch, a quarantine record) that are not durable yet. `readings`
    counts the message's readings; `rejected` are those that went to quarantine, as far as they are
    named, and `unnamed` counts the others, for the sources that tell their senders. With `is_whole`
    all of the message did, however many readings its sender sees in it. A source adds in a subclass
    what it needs to answer.
    """

    __slots__ = ("is_whole", "pending", "readings", "receipts", "rejected", "unnamed")

    receipts: "AnyReceipts"

    def __init__(self) -> None:
        self.pending = 0
        self.readings = 0
        self.rejected: Sequence[Rejected] = ()
        self.unnamed = 0
        self.is_whole = False

    def note_rejected(self, rejected: Sequence[Rejected], *, is_whole: bool) -> None:
        """Note readings that go to quarantine, or all of the message as one."""
        self.is_whole = self.is_whole or is_whole
        room = MOST_NAMED - len(self.rejected)
        self.rejected = (*self.rejected, *rejected[:room])
        self.unnamed += max(len(rejected) - room, 0)


AnyReceipt = TypeVar("AnyReceipt", bound=Receipt)


class Receipts(Generic[AnyReceipt]):
    """The receipts of one sender, honoured in the order in which its messages came.

    [MQTT-4.6.0-2] and [MQTT-4.6.0-3]: PUBACK and PUBREC leave in the order of their PUBLISH.
    `answer` is called with the receipts that have become due, on the event loop.
    """

    def __init__(self, answer: Callable[[list[AnyReceipt]], None]) -> None:
        self._answer = answer
        self._owed: deque[AnyReceipt] = deque()

    def __len__(self) -> int:
        return len(self._owed)

    def owe(self, receipt: AnyReceipt) -> AnyReceipt:
        """Note an answer that is owed, and hold it until its parts are durable."""
        receipt.receipts = self
        # Until the intake has taken the message, it is a part that nobody keeps.
        receipt.pending = 1
        self._owed.append(receipt)
        return receipt

    def release(self) -> None:
        """Answer what is durable, up to the first message that is not."""
        ready: list[AnyReceipt] = []
        while self._owed and self._owed[0].pending == 0:
            ready.append(self._owed.popleft())
        if ready:
            self._answer(ready)

    def forget(self) -> None:
        """Drop what is owed: the sender is gone, and nobody could be told."""
        self._owed.clear()


class AnyReceipts(Protocol):
    """What a receipt belongs to."""

    def release(self) -> None:
        """Answer what is durable."""
        ...


def settle(receipts: list[Receipt]) -> None:
    """Note that one part of each receipt is durable, and answer what is now complete."""
    for receipt in receipts:
        receipt.pending -= 1
    for sender in {receipt.receipts for receipt in receipts}:
        sender.release()


class Message(Struct, gc=False):
    """One message as a source received it; `receipt` is None at QoS 0.

    Its readings' address is its topic's; without a topic it is `address`, and where that is None
    too the payload names its own. A `grant` limits whose readings it may carry.
    """

    topic: str | bytes | None
    payload: bytes
    qos: int
    arrival_ms: int
    dup: bool = False
    content_type: str | None = None
    receipt: Receipt | None = None
    address: Address | None = None
    grant: Grant | None = None
