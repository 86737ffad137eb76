"""A batch: the readings that go to the store together, and whom to tell when they are there."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from ingest.message import Message
from ingest.series import Series
from telemetry.latency import KINDS, Kind
from telemetry.lineprotocol import parse_readings
from telemetry.payload import Rejected
from telemetry.store import Refused

_READINGS_A_SERIES = 10


class Batch:
    """Readings gathered for one write, each as the line that goes to the store.

    Where it `may_overwrite`, two of them may be of one series and time.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.messages: list[Message] = []
        self._ends: list[int] = []  # of each message's readings, among all
        self.payload_bytes = 0
        self.by_qos = [0, 0, 0]
        # By number of the message, where not all its readings are here.
        self._places: dict[int, list[int]] = {}
        self._newest_ms: dict[Series, int] = {}
        self.may_overwrite = False
        self.times_ms: dict[Kind, list[int]] = {kind: [] for kind in KINDS}

    def __len__(self) -> int:
        return len(self.lines)

    def add(
        self,
        message: Message,
        lines: list[bytes],
        times_ms: list[int],
        repeats: int,
        places: list[int] | None = None,
    ) -> None:
        """Add a message's readings; of repeats the latency says nothing of the way.

        `places` are theirs in the message, where not all of it is stored. What becomes of the
        message's receipt is settled with the batch.
        """
        if places is not None:
            self._places[len(self.messages)] = places
        self.lines += lines
        self.payload_bytes += len(message.payload)
        self.by_qos[message.qos] += len(lines)
        self.times_ms["late" if repeats else KINDS[message.qos]] += times_ms
        self.messages.append(message)
        self._ends.append(len(self.lines))

    def note_times(self, series: Series, times_ms: list[int]) -> None:
        """Note when readings of a series are of: where all are later than those before, none of
        them can stand in the place of another."""
        newest_ms = self._newest_ms.get(series, -1)
        for time_ms in times_ms:
            if time_ms <= newest_ms:
                self.may_overwrite = True
            else:
                newest_ms = time_ms
        self._newest_ms[series] = newest_ms

    @property
    def divisible(self) -> bool:
        """Whether it may be written in two parts, and that would cost little more than the whole.

        Each series costs InfluxDB as much as half a line does, once a request.
        """
        readings = len(self.lines)
        return not self.may_overwrite and readings >= _READINGS_A_SERIES * len(self._newest_ms)

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
        if not self.may_overwrite:
            return 0
        readings = parse_readings(b"\n".join([*self.lines, b""]).decode())
        slots = {(one.site, one.device, one.measurement, one.time_ms) for one in readings}
        distinct = {
            (one.site, one.device, one.measurement, one.time_ms, one.boot_ms, one.seq)
            for one in readings
        }
        return len(distinct) - len(slots)
