"""How many readings are stored and how many are missing, by level: counted over the whole store.

The same count as in `/v1/delivery`, made at intervals so that it can stand among the own figures,
where dashboards and alerts find it. What is on its way counts as missing until it arrives.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from msgspec import Struct

from api.delivery import Stored, stored_by_level
from api.questions import now_ms
from api.status_board import StatusBoard
from telemetry import log
from telemetry.metrics import Sample
from telemetry.store import SequenceCount, Store, StoreError, StoreTooSlow

# The count goes through everything stored: however long that takes, it is a fiftieth of the time.
_PAUSE_PER_SECOND = 50
# A count that takes no longer is made for whoever asks; of a larger store the last one is told.
_QUICK_SECONDS = 0.5

_log = log.get(__name__)


class Counted(Struct, frozen=True):
    """What was counted by level, when (ms since the epoch), and how long it took."""

    by_level: Mapping[str, Stored]
    time_ms: int
    took_seconds: float


class GapWatch:
    """Counts in a thread of its own; an interval of 0 is never."""

    def __init__(self, board: StatusBoard, interval_seconds: float) -> None:
        self._board = board
        self._interval_seconds = interval_seconds
        self._last: Counted | None = None
        self._stopping = threading.Event()

    def start(self, store: Store) -> None:
        """Begin to count, the first time after one interval; the store is patient."""
        if self._interval_seconds:
            threading.Thread(target=self._run, args=(store,), name="gaps", daemon=True).start()

    def stop(self) -> None:
        """Count no more; a count that is under way is left to its end."""
        self._stopping.set()

    def count(self, store: Store) -> None:
        """Count once, now. Raises StoreError."""
        self._last = self._counted(store.sequence_counts)

    def counted(self, ask: Callable[[], Iterable[SequenceCount]]) -> Counted:
        """Return what is counted now by `ask`, or where that takes too long, what was last.

        Raises StoreError where nothing was counted yet.
        """
        last = self._last
        if last is not None and last.took_seconds > _QUICK_SECONDS:
            return last
        try:
            return self._counted(ask)
        except StoreTooSlow:
            if last is None:
                raise
            return last

    def _counted(self, ask: Callable[[], Iterable[SequenceCount]]) -> Counted:
        began_ms, began_s = now_ms(), time.monotonic()
        by_level = stored_by_level(ask(), self._board.all())
        return Counted(by_level, began_ms, time.monotonic() - began_s)

    def samples(self) -> Iterator[Sample]:
        """Yield what was counted last, and nothing before the first count."""
        by_level = self._last.by_level if self._last is not None else {}
        for level, found in by_level.items():
            labels = {"qos": level}
            yield Sample("stored_readings", found.count, "Readings stored.", labels, "gauge")
            yield Sample(
                "missing_readings", found.missing, "Gaps between those stored.", labels, "gauge"
            )

    def _run(self, store: Store) -> None:
        pause_seconds = self._interval_seconds
        while not self._stopping.wait(pause_seconds):
            began_s = time.monotonic()
            try:
                self.count(store)
            except StoreError as error:
                _log.info("gaps were not counted", problem=str(error))
            took_seconds = time.monotonic() - began_s
            pause_seconds = max(self._interval_seconds, _PAUSE_PER_SECOND * took_seconds)
