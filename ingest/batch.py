"""A batch: the readings that go to the store together, and whom to tell when they are there."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from ingest.message import Message
from telemetry.latency import KINDS, Kind
from telemetry.payload import Rejected
from telemetry.reading import Reading
from telemetry.store import Refused


class Batch:
    """Readings gathered for one write."""

    def __init__(self) -> None:
        self.readings: list[Reading] = []
        self.messages: list[Message] = []
        self._ends: list[int] = []  # of each message's readings, among all
        self.payload_bytes = 0
        self.by_qos = [0, 0, 0]
        # By number of the message, where not all its readings are here.
        self._places: dict[int, list[int]] = {}
        self.times_ms: dict[Kind, list[int]] = {kind: [] for kind in KINDS}

    def __len__(self) -> int:
        return len(self.readings)

    def add(
        self,
        message: Message,
        readings: list[Reading],
        repeats: int,
        places: list[int] | None = None,
    ) -> None:
        """Add a message's readings; of repeats the latency says nothing of the way.

        `places` are theirs in the message, where not all of it is stored.
        """
        if places is not None:
            self._places[len(self.messages)] = places
        self.readings.extend(readings)
        self.payload_bytes += len(message.payload)
        self.by_qos[message.qos] += len(readings)
        kind: Kind = "late" if repeats else KINDS[message.qos]
        self.times_ms[kind].extend([reading.time_ms for reading in readings])
        self.messages.append(message)
        self._ends.append(len(self.readings))
        if message.receipt is not None:
            message.receipt.pending += 1

    def message_of(self, index: int) -> Message:
        """Return the message that brought the reading at `index`."""
        return self.messages[bisect_right(self._ends, index)]

    def by_message(
        self, refused: Iterable[Refused]
    ) -> Iterator[tuple[Message, list[Rejected], bool]]:
        """Yield each message with refused readings, these by their place in it.

        The last says whether the message is a single reading, and so refused as a whole.
        """
        found: dict[int, list[Rejected]] = {}
        for one in refused:
            number = bisect_right(self._ends, one.index)
            place = one.index - self._begin(number)
            if number in self._places:
                place = self._places[number][place]
            found.setdefault(number, []).append(Rejected(place, one.reason))
        for number, rejected in found.items():
            is_single = self._ends[number] - self._begin(number) == 1
            yield self.messages[number], rejected, is_single and number not in self._places

    def _begin(self, number: int) -> int:
        return self._ends[number - 1] if number else 0

    def qos_of(self, index: int) -> int:
        """Return the QoS level at which the reading at `index` came."""
        return self.message_of(index).qos

    def overwritten(self) -> int:
        """Count the readings that stand at the series and time of another one of this batch."""
        slots = {(one.site, one.device, one.measurement, one.time_ms) for one in self.readings}
        if len(slots) == len(self.readings):
            return 0
        distinct = {
            (one.site, one.device, one.measurement, one.time_ms, one.boot_ms, one.seq)
            for one in self.readings
        }
        return len(distinct) - len(slots)


class RecentlySeen:
    """Remembers which readings came lately, to count those that come again."""

    def __init__(self, remembered: int = 50_000) -> None:
        self._remembered = remembered
        self._new: set[tuple[str, int, int]] = set()
        self._old: set[tuple[str, int, int]] = set()

    def count_repeats(self, readings: list[Reading]) -> int:
        """Return how many of the readings were seen before, and remember them all."""
        repeats = 0
        for reading in readings:
            if reading.boot_ms is None or reading.seq is None:
                continue
            identity = (reading.device, reading.boot_ms, reading.seq)
            if identity in self._new or identity in self._old:
                repeats += 1
            self._new.add(identity)
        if len(self._new) > self._remembered:
            self._old, self._new = self._new, set()
        return repeats
