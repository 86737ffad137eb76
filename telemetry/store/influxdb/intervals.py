"""Which part of a range of intervals to ask next."""

from msgspec import Struct
from msgspec.structs import replace

from telemetry.store import Aggregate, Resolution, Selection

_MOST_INTERVALS = 50_000  # in a question; InfluxDB is told to allow 100,000
_GROWTH = 4


class Buckets(Struct, frozen=True):
    """How readings are gathered, how many intervals are wanted, and what they are made from."""

    every_ms: int
    aggregate: Aggregate
    limit: int
    descending: bool
    resolution: Resolution


class Intervals:
    """Walks through a range: whole intervals, but for the first and the last of the range.

    One device is asked at once; many begin with one interval, and what is found tells how many more
    to ask for.
    """

    def __init__(self, selection: Selection, asked: Buckets) -> None:
        self._selection = selection
        self._asked = asked
        self._start_ms, self._stop_ms = selection.start_ms, selection.stop_ms
        self._intervals = 1 if selection.device is None else _MOST_INTERVALS

    def next_piece(self) -> Selection | None:
        """Return the next part; None behind the last."""
        if self._start_ms >= self._stop_ms:
            return None
        every_ms, start_ms, stop_ms = self._asked.every_ms, self._start_ms, self._stop_ms
        if self._asked.descending:
            edge_ms = (-(-stop_ms // every_ms) - self._intervals) * every_ms
            start_ms = self._stop_ms = max(start_ms, edge_ms)
        else:
            edge_ms = (start_ms // every_ms + self._intervals) * every_ms
            stop_ms = self._start_ms = min(stop_ms, edge_ms)
        return replace(self._selection, start_ms=start_ms, stop_ms=stop_ms)

    def learn(self, found: int, lacking: int) -> None:
        """Take note of how many buckets the last part held, and how many are still wanted."""
        wanted = lacking * self._intervals // max(1, found)
        self._intervals = max(1, min(wanted, self._intervals * _GROWTH, _MOST_INTERVALS))
