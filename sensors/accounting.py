"""What becomes of a device's readings, told to the counters, the ledger and the journal."""

import time
from collections.abc import Mapping

from sensors.counters import DropReason
from sensors.fleetfile import QoS
from sensors.message import Message
from sensors.uplink import Shared

_MS_PER_SECOND = 1000


class Accounting:
    """Keeps account for one uplink."""

    __slots__ = ("_qos", "_sender", "_shared")

    def __init__(self, sender: str, qos: QoS, shared: Shared) -> None:
        self._sender = sender
        self._qos = qos
        self._shared = shared

    def taken_over(self, readings: int) -> None:
        """Note what an earlier process left."""
        self._shared.counters.taken_over[self._qos] += readings

    def sent(self, message: Message) -> None:
        """Note that a message left, for the first time or once more."""
        counters = self._shared.counters
        counts = counters.republished if message.sent else counters.published
        counts[self._qos] += 1 + len(message.others)
        message.sent = True
        message.sent_s = time.monotonic()

    def acknowledged(self, message: Message) -> None:
        """Note that all of a message was taken."""
        ledger, counters = self._shared.ledger, self._shared.counters
        counters.acknowledged[self._qos] += 1 + len(message.others)
        waited_s = time.monotonic() - message.sent_s
        counters.acknowledgements[self._qos].record(waited_s * _MS_PER_SECOND)
        ledger.acknowledged(message.session, message.seq)
        for seq in message.others:
            ledger.acknowledged(message.session, seq)
        self._settle(message)

    def dropped(self, message: Message, reason: DropReason) -> None:
        """Note that a message is given up."""
        self._shared.counters.dropped[reason][self._qos] += 1 + len(message.others)
        for seq in (*message.others, message.seq):
            self._shared.ledger.dropped(message.session, seq)
        self._settle(message)

    def overflowed(self, message: Message | None) -> None:
        """Note what had to go, if any, because the outbox was full."""
        if message is None:
            return
        self.dropped(message, "outbox_full")
        self._shared.log.error(
            "outbox full, oldest reading dropped", device=self._sender, seq=message.seq
        )

    def refused(self, message: Message, why: str) -> None:
        """Note that the other side refuses a message for good."""
        for seq in (*message.others, message.seq):
            self._refused(message, seq)
        self._settle(message)
        self._say_refused(message, why)

    def partly_refused(self, message: Message, reasons: Mapping[int, str]) -> None:
        """Note that a message was taken, but for the readings of these seqs."""
        shared = self._shared
        for seq in (*message.others, message.seq):
            if seq in reasons:
                self._refused(message, seq)
                self._say_refused(message, reasons[seq])
            else:
                shared.ledger.acknowledged(message.session, seq)
                shared.counters.acknowledged[self._qos] += 1
        self._settle(message)

    def _refused(self, message: Message, seq: int) -> None:
        self._shared.counters.refused[self._qos] += 1
        self._shared.ledger.refused(message.session, seq)

    def _say_refused(self, message: Message, why: str) -> None:
        self._shared.log.error(
            "reading refused", device=self._sender, topic=message.topic.decode(), why=why
        )

    def _settle(self, message: Message) -> None:
        if self._qos and self._shared.keeping is not None:
            self._shared.keeping.settle(message)
