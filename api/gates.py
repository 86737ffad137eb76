"""How much is asked at once: some questions at a time, a few wait, the others are refused."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from api.figures import Figures
from api.problems import Problem

_AGAIN_SECONDS = 1


class TooBusy(Problem):
    """Raised when too much is asked at once; 429 (RFC 6585, 4)."""

    def __init__(self, detail: str) -> None:
        super().__init__(429, detail, name="too-busy", retry_after_seconds=_AGAIN_SECONDS)


class Gate:
    """Lets `places` pass at once and `queue` more wait, for `wait_seconds` at most."""

    def __init__(self, figures: Figures, *, places: int, queue: int, wait_seconds: float) -> None:
        self._figures = figures
        self._queue = queue
        self._wait_seconds = wait_seconds
        self._places = threading.Semaphore(places)
        self._lock = threading.Lock()
        self.waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place; TooBusy at once where the queue is full, or after a wait in vain."""
        if not self._places.acquire(blocking=False):
            self._wait()
        try:
            yield
        finally:
            self._places.release()

    def _wait(self) -> None:
        with self._lock:
            if self.waiting >= self._queue:
                raise self._refusal("Too many questions are in progress; this was not asked.")
            self.waiting += 1
        try:
            found = self._places.acquire(timeout=self._wait_seconds)
        finally:
            with self._lock:
                self.waiting -= 1
        if not found:
            raise self._refusal("The questions before this one took too long; it was not asked.")

    def _refusal(self, detail: str) -> TooBusy:
        self._figures.count_refusal("busy")
        return TooBusy(detail)


class Gates:
    """Ranges, tables and all other questions pass by gates of their own: none keeps others out.

    A table holds its place until it has been taken, so that nobody waits for one.
    """

    def __init__(
        self, figures: Figures, *, places: int, queue: int, wait_seconds: float, tables: int
    ) -> None:
        self.ranges = Gate(figures, places=places, queue=queue, wait_seconds=wait_seconds)
        self.tables = Gate(figures, places=tables, queue=0, wait_seconds=0.0)
        self.others = Gate(figures, places=places, queue=queue, wait_seconds=wait_seconds)


class KeyShares:
    """How many requests each key has in progress, `most` at a time; 0 is any number."""

    def __init__(self, figures: Figures, most: int) -> None:
        self._figures = figures
        self._most = most
        self._lock = threading.Lock()
        self._in_progress: dict[str, int] = {}

    def take(self, key_id: str) -> bool:
        """Count a request of a key, and say whether it has to be given back; TooBusy beyond."""
        if self._most == 0:
            return False
        with self._lock:
            count = self._in_progress.get(key_id, 0)
            if count >= self._most:
                self._figures.count_refusal("busy")
                raise TooBusy(f"This key has {self._most} requests in progress already.")
            self._in_progress[key_id] = count + 1
        return True

    def give_back(self, key_id: str) -> None:
        """Note that a request of a key has ended."""
        with self._lock:
            left = self._in_progress[key_id] - 1
            if left:
                self._in_progress[key_id] = left
            else:
                del self._in_progress[key_id]
