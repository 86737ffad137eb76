"""What a connection carries besides readings: statuses, and answers to commands. No socket here."""

from collections import deque

from msgspec import Struct

from sensors.uplink import Then
from sensors.ways.mqtt.client import SUBSCRIBE_ID

# Packet ids that the outbox leaves free.
ONLINE_ID, OFFLINE_ID = 1, 2
_REPLY_IDS = range(SUBSCRIBE_ID + 1, 16)
LAST_ID = _REPLY_IDS[-1]

WAITING_REPLIES = 100


class Reply(Struct, frozen=True):
    """An answer to a command; `then` is called once the broker has it, or never will."""

    topic: bytes
    payload: bytes
    correlation: bytes | None
    then: Then | None = None


class Asides:
    """Their packet ids in flight, and the answers that wait for one."""

    __slots__ = ("_in_flight", "_waiting")

    def __init__(self) -> None:
        self._in_flight: dict[int, Reply | None] = {}
        self._waiting: deque[Reply] | None = None

    @property
    def in_flight(self) -> int:
        """How many are on their way; they share the broker's Receive Maximum with readings."""
        return len(self._in_flight)

    @property
    def full(self) -> bool:
        """Whether so many answers wait that no command is taken."""
        return self._waiting is not None and len(self._waiting) >= WAITING_REPLIES

    @property
    def any_waits(self) -> bool:
        """Whether an answer waits."""
        return bool(self._waiting)

    def add(self, reply: Reply) -> None:
        """Let an answer wait."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(reply)

    def next_reply(self) -> tuple[int, Reply] | None:
        """Return the next answer and its packet id, now in flight; None where none can go."""
        free = next((number for number in _REPLY_IDS if number not in self._in_flight), None)
        if free is None or not self._waiting:
            return None
        reply = self._waiting.popleft()
        self._in_flight[free] = reply
        return free, reply

    def sent_status(self, packet_id: int) -> None:
        """Note that a status is on its way."""
        self._in_flight[packet_id] = None

    def answered(self, packet_id: int) -> Reply | None:
        """Note what the broker has answered for; return the reply, if it was one."""
        return self._in_flight.pop(packet_id, None)

    def connection_lost(self) -> list[Reply]:
        """Forget all: nobody asks again for an answer. Return those that were answers."""
        replies = [reply for reply in self._in_flight.values() if reply is not None]
        replies += self._waiting or ()
        self._in_flight.clear()
        self._waiting = None
        return replies
