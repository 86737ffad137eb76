"""One who listens: a bounded queue of what is to be sent, and how far its stream is complete."""

import threading
from collections import deque

from msgspec import Struct
from msgspec.structs import replace

from api.live.events import Chunk, EndReason, Wanted, id_line
from api.questions import now_ms


class Debt(Struct, frozen=True):
    """What a stream owes: readings that arrived since a time and were perhaps not heard live.

    `noted_ms` is when that was noted; `serial` tells one note from the next.
    """

    since_ms: int
    noted_ms: int
    serial: int


class Reader:
    """Filled by the hub's thread and emptied by its stream's own.

    While it owes readings it tells no ids: who comes again then begins where the debt began.
    """

    def __init__(self, wanted: Wanted, *, most_bytes: int, most_events: int) -> None:
        self.wanted = wanted
        self.end: EndReason | None = None
        self._most_bytes = most_bytes
        self._most_events = most_events
        self._bytes = 0
        self._events = 0
        self._queue: deque[Chunk] = deque()
        self._debt: Debt | None = None
        self._serial = 0
        self._changed = threading.Condition()

    @property
    def debt(self) -> Debt | None:
        """What it owes, if anything."""
        return self._debt

    def offer(self, chunk: Chunk) -> bool:
        """Queue events; False where they are too many: it is too slow, and its stream ends."""
        with self._changed:
            if self.end is not None:
                return True
            self._bytes += chunk.size
            self._events += chunk.count
            self._queue.append(chunk)
            is_slow = self._bytes > self._most_bytes or self._events > self._most_events
            if is_slow:
                self._finish("slow")
            self._changed.notify()
            return not is_slow

    def stop(self, reason: EndReason) -> None:
        """End its stream after a last word; what is queued is not sent."""
        with self._changed:
            if self.end is None:
                self._finish(reason)
            self._changed.notify()

    def owe(self, since_ms: int) -> None:
        """Note that what arrived since a time was perhaps not heard."""
        with self._changed:
            self._serial += 1
            before = self._debt.since_ms if self._debt is not None else since_ms
            self._debt = Debt(min(before, since_ms), now_ms(), self._serial)
            self._changed.notify()

    def settle(self, debt: Debt, since_ms: int | None) -> None:
        """Note that a debt is paid up to a time, or whole; a newer one stays."""
        with self._changed:
            if self._debt is not None and self._debt.serial == debt.serial:
                self._debt = None if since_ms is None else replace(debt, since_ms=since_ms)

    def take(self, timeout_seconds: float) -> bytes:
        """Return what is to be sent now, after waiting for something; empty where nothing came."""
        with self._changed:
            if not self._queue and self.end is None and timeout_seconds > 0:
                self._changed.wait(timeout_seconds)
            taken = list(self._queue)
            self._queue.clear()
            self._bytes = self._events = 0
            owes = self._debt is not None
        if not taken:
            return b""
        pieces: list[bytes] = []
        for one in taken:
            pieces += (one.head, one.last) if owes or one is not taken[-1] else (one.head,)
        if not owes:
            pieces += (id_line(taken[-1].position_ms), taken[-1].last)
        return b"".join(pieces)

    def _finish(self, reason: EndReason) -> None:
        self.end = reason
        self._queue.clear()
        self._bytes = self._events = 0
