"""How many readings are stored and how many are missing, by level: counted over the whole store.

The same count as in `/v1/delivery`, made at intervals so that it can stand among the own figures,
where dashboards and alerts find it. What is on its way counts as missing until it arrives.
"""

import threading
import time
from collections.abc import Iterator, Mapping

from api.delivery import Stored, stored_by_level
from api.status_board import StatusBoard
from telemetry import log
from telemetry.metrics import Sample
from telemetry.store import Store, StoreError

# The count goes through everything stored: however long that takes, it is a fiftieth of the time.
_PAUSE_PER_SECOND = 50

_log = log.get(__name__)


class GapWatch:
    """Counts in a thread of its own; an interval of 0 is never."""

    def __init__(self, board: StatusBoard, interval_seconds: float) -> None:
        self._board = board
        self._interval_seconds = interval_seconds
        self._counted: Mapping[str, Stored] = {}
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
        self._counted = stored_by_level(store.sequence_counts(), self._board.all())

    def samples(self) -> Iterator[Sample]:
        """Yield what was counted last, and nothing before the first count."""
        for level, found in self._counted.items():
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
