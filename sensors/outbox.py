"""The outbox: a device's unacknowledged readings, and what an answer means for them.

No socket in here, and no protocol. Readings leave oldest first, at most `window` on their way; a
lost connection puts those back. It alone sends again: MQTT connections are made with clean start,
because paho's and the broker's own memory of a handshake may answer for a message that the other
side has forgotten.

With a spill on disk, a reading that finds no room in memory is left there with its number alone,
and is fetched when its turn comes.
"""

from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Iterable
from enum import Enum, auto
from typing import Protocol

from sensors.message import Message

PAUSE_SECONDS = 1.0

_FETCHED = 100  # readings taken from the spill at a time

_FIRST_PACKET_ID = 16  # smaller ones are left to the device's status
_LAST_PACKET_ID = 65_535


class Outcome(Enum):
    """What an answer means for a reading."""

    ACKNOWLEDGED = auto()
    REFUSED = auto()
    KEPT = auto()
    """Nobody could take it now: it stays and is sent again."""
    ONGOING = auto()
    """The first half of a QoS 2 handshake."""


class Spill(Protocol):
    """Where readings are that need not be in memory."""

    def holds(self, message: Message) -> bool:
        """Tell whether a reading is there."""
        ...

    def fetch(self, numbers: "array[int]") -> list[Message]:
        """Return readings by their numbers; what cannot be read any more is left out."""
        ...


class Outbox:
    """The unacknowledged readings of one device, at most `capacity` of them in memory."""

    __slots__ = (
        "_capacity", "_in_flight", "_packet_id", "_paused_until", "_probing", "_spill", "_spilled",
        "_waiting",
    )  # fmt: skip

    def __init__(self, capacity: int, spill: Spill | None = None) -> None:
        self._capacity = capacity
        self._spill = spill
        # Numbers, ascending: all of them are later than what waits in memory.
        self._spilled: array[int] = array("Q")
        self._waiting: deque[Message] = deque()
        self._in_flight: dict[int, Message] = {}
        self._packet_id = _FIRST_PACKET_ID - 1
        self._paused_until = 0.0
        self._probing = False

    def __len__(self) -> int:
        return len(self._waiting) + len(self._in_flight) + len(self._spilled)

    @property
    def readings(self) -> int:
        """How many readings are in these messages; on disk each is one."""
        in_memory = (*self._waiting, *self._in_flight.values())
        return sum(1 + len(message.others) for message in in_memory) + len(self._spilled)

    @property
    def in_flight(self) -> int:
        """How many readings were sent on this connection and not answered."""
        return len(self._in_flight)

    def take_over(self, numbers: "array[int]") -> None:
        """Take what an earlier process left in the spill; before anything is added."""
        self._spilled.extend(numbers)

    def add(self, message: Message) -> Message | None:
        """Take a new reading; return the oldest waiting one where there is room no longer.

        What is in flight cannot be called back, so it is never the one to go.
        """
        in_memory = len(self._waiting) + len(self._in_flight)
        must_spill = bool(self._spilled) or in_memory >= self._capacity
        if must_spill and self._spill is not None and self._spill.holds(message):
            self._spilled.append(message.number)
            return None
        self._waiting.append(message)
        return self._waiting.popleft() if in_memory >= self._capacity else None

    def forget(self, last: int) -> list[Message]:
        """Give up the waiting readings up to this number and return them."""
        forgotten = []
        while self._waiting and self._waiting[0].number <= last:
            forgotten.append(self._waiting.popleft())
        if not self._waiting:
            forgotten += self._fetch(bisect_right(self._spilled, last))
        return forgotten

    def next_to_send(self, now_s: float, window: int) -> tuple[int, Message] | None:
        """Return the next reading and its packet id, now in flight, or None: nothing may go now.

        After a pause one reading goes alone, to see whether anybody subscribes by now.
        """
        allowed = 1 if self._probing else window
        if len(self._in_flight) >= allowed or now_s < self._paused_until:
            return None
        while self._spilled and not self._waiting:
            self._waiting.extend(self._fetch(min(_FETCHED, self._capacity)))
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        packet_id = self._free_packet_id()
        self._in_flight[packet_id] = message
        return packet_id, message

    def answered(self, packet_id: int, outcome: Outcome, now_s: float) -> Message | None:
        """Take an answer; return the reading that it is for, None where that is not known."""
        if outcome is Outcome.ONGOING:
            return self._in_flight.get(packet_id)
        message = self._in_flight.pop(packet_id, None)
        if message is None:
            return None
        if outcome is Outcome.KEPT:
            self._put_back([message])
            self._paused_until = now_s + PAUSE_SECONDS
            self._probing = True
        elif outcome is Outcome.ACKNOWLEDGED:
            self._probing = False
        return message

    def put_back(self, packet_ids: Iterable[int]) -> None:
        """Let these wait again: nobody will answer for them."""
        self._put_back([self._in_flight.pop(packet_id) for packet_id in packet_ids])

    def discard(self, packet_id: int) -> None:
        """Forget a reading that was to be sent and cannot be."""
        del self._in_flight[packet_id]

    def connection_lost(self) -> None:
        """Put what was in flight back, to be published again on the next connection."""
        self._put_back(list(self._in_flight.values()))
        self._in_flight.clear()
        self._paused_until = 0.0

    def _fetch(self, count: int) -> list[Message]:
        if self._spill is None or not count:
            return []
        numbers, self._spilled = self._spilled[:count], self._spilled[count:]
        return self._spill.fetch(numbers)

    def _put_back(self, messages: list[Message]) -> None:
        back = list(messages)
        newest = max((message.number for message in back), default=-1)
        # Of several that come back one by one, an earlier reading may come after a later one.
        while self._waiting and self._waiting[0].number < newest:
            back.append(self._waiting.popleft())
        back.sort(key=lambda message: message.number)
        self._waiting.extendleft(reversed(back))

    def _free_packet_id(self) -> int:
        while True:
            self._packet_id += 1
            if self._packet_id > _LAST_PACKET_ID:
                self._packet_id = _FIRST_PACKET_ID
            if self._packet_id not in self._in_flight:
                return self._packet_id
