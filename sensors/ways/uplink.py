"""The uplink of every way whose other side says what is safe: an outbox, and what carries it."""

from array import array
from collections import deque
from collections.abc import Sequence

from sensors.accounting import Accounting
from sensors.message import Message
from sensors.outbox import Outbox, Outcome
from sensors.uplink import Sender, Shared, Status
from sensors.ways.addressing import Addressing
from sensors.ways.carrier import Carrier, Parcel
from sensors.ways.channel import Rejection

_UNSENT_MESSAGES = 100  # at QoS 0 a reading is better dropped than that more than these wait
_ANY_TIME_S = 0.0  # the outbox itself pauses after some answers of a broker alone
_MOST_IN_FLIGHT = 50_000  # the carrier's batches are the bound; an outbox numbers up to 65,535


class ChannelUplink:
    """One device's way through a channel."""

    __slots__ = (
        "_accounting", "_addressing", "_carrier", "_outbox", "_sender", "_shared", "_unsent",
        "connected", "in_line",
    )  # fmt: skip

    def __init__(self, sender: Sender, carrier: Carrier, shared: Shared) -> None:
        self._sender = sender
        self._carrier = carrier
        self._shared = shared
        self._accounting = Accounting(sender.name, sender.qos, shared)
        self._addressing = Addressing(sender)
        self._outbox = Outbox(shared.outbox_readings, shared.keeping)
        self._unsent: deque[Message] | None = deque() if sender.qos == 0 else None
        self.connected = False
        self.in_line = False

    @property
    def in_flight(self) -> int:
        """How many messages wait for their acknowledgement."""
        return self._outbox.in_flight

    @property
    def unfinished(self) -> int:
        """How many messages wait to be sent or for their acknowledgement."""
        return len(self._outbox) + len(self._unsent or ())

    @property
    def unfinished_readings(self) -> int:
        """How many readings are in them."""
        return self._outbox.readings + sum(1 + len(one.others) for one in self._unsent or ())

    def take_over(self, numbers: "array[int]") -> None:
        """Take what an earlier process left on disk for this device, before all that is new."""
        self._outbox.take_over(numbers)
        self._accounting.taken_over(len(numbers))

    def forget(self, last: int) -> None:
        """Drop what waits up to a number of the journal, whose room is needed."""
        for message in self._outbox.forget(last):
            self._accounting.dropped(message, "outbox_full")

    async def keep_connected(self) -> None:
        """Be carried, until it leaves or is cancelled."""
        await self._carrier.keep_open(self)

    def publish(self, message: Message) -> None:
        """Send a reading, or keep it until it can be sent."""
        if self._unsent is None:
            self._accounting.overflowed(self._outbox.add(message))
        elif not self.connected:
            self._accounting.dropped(message, "not_connected")
            return
        elif len(self._unsent) >= _UNSENT_MESSAGES:
            self._accounting.dropped(message, "congested")
            return
        else:
            self._unsent.append(message)
        self._carrier.wants(self)

    def restart(self, status: Status | None) -> None:  # noqa: ARG002
        """Break off without a word; there is no status to come back with."""
        self._carrier.restart()

    def break_off(self, away_seconds: float) -> None:
        """Break the connection without a word, and come back after so long, without a spread."""
        self._carrier.break_off(away_seconds)

    async def leave(self) -> None:
        """Be carried no longer; the last one of a connection closes it."""
        await self._carrier.leave(self)

    def came(self) -> None:
        """Begin with what waits."""
        self.connected = True
        self._shared.counters.connected += 1
        if self.unfinished:
            self._carrier.wants(self)

    def went(self) -> None:
        """Keep what is to be kept; at QoS 0 nothing is."""
        self.connected = False
        self._shared.counters.connected -= 1
        while self._unsent:
            self._accounting.dropped(self._unsent.popleft(), "not_connected")

    def next_parcel(self, most_bytes: int) -> Parcel | None:
        """Return what leaves next; what is too large is refused here."""
        while (entry := self._next()) is not None:
            number, message = entry
            payload = self._addressing.addressed(message)
            if len(payload) <= most_bytes:
                self._accounting.sent(message)
                return Parcel(self, number, message, payload)
            self._outbox.answered(number, Outcome.REFUSED, _ANY_TIME_S)
            self._accounting.refused(message, f"{len(payload)} bytes, {most_bytes} are allowed")
        return None

    def arrived(self, parcel: Parcel) -> None:
        """Let go of a message that is safe."""
        if parcel.number:
            self._outbox.answered(parcel.number, Outcome.ACKNOWLEDGED, _ANY_TIME_S)
            self._accounting.acknowledged(parcel.message)

    def rejected(self, parcel: Parcel, rejections: Sequence[Rejection]) -> None:
        """Let go of a message of which readings are in quarantine: those are refused."""
        if not parcel.number:
            return
        message = parcel.message
        self._outbox.answered(parcel.number, Outcome.REFUSED, _ANY_TIME_S)
        seqs = (*message.others, message.seq)
        reasons: dict[int, str] = {}
        for one in rejections:
            if one.reading is None or one.reading >= len(seqs):
                self._accounting.refused(message, one.reason)
                return
            reasons[seqs[one.reading]] = one.reason
        self._accounting.partly_refused(message, reasons)

    def refused(self, parcel: Parcel, why: str) -> None:
        """Let go of a message that is never taken."""
        if not parcel.number:
            return
        self._outbox.answered(parcel.number, Outcome.REFUSED, _ANY_TIME_S)
        self._accounting.refused(parcel.message, why)

    def returned(self, parcels: Sequence[Parcel]) -> None:
        """Let messages wait again; at QoS 0 they had their one chance."""
        if self._unsent is None:
            self._outbox.put_back(parcel.number for parcel in parcels)
            self._carrier.wants(self)

    def _next(self) -> tuple[int, Message] | None:
        if self._unsent is None:
            return self._outbox.next_to_send(_ANY_TIME_S, _MOST_IN_FLIGHT)
        return (0, self._unsent.popleft()) if self._unsent else None
