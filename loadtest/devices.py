"""The devices of one process of a load test: names, credentials, and the ledger of what they sent.

Device `load-SLOT-NUMBER`. Of several processes in one container each has every nth number, so that
no two share a name; a number that a user gave back is taken again, with a boot of its own.
"""

import heapq
import time
from pathlib import Path

from msgspec import Struct

from loadtest.results import LEDGERS
from telemetry.ledger import SUFFIX, LedgerWriter

SITE, MEASUREMENT = "loadtest", "load"


class Place(Struct, frozen=True):
    """Which process of how many in which container this is."""

    slot: int = 1
    index: int = 0
    processes: int = 1


class Devices:
    """Who is free to be a user's device, and what they did."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / LEDGERS
        self._place = Place()
        self._free: list[int] = []
        self._next = 0
        self._last_boot_ms = 0
        self._ledger: LedgerWriter | None = None
        self.path: Path | None = None

    def begin(self, place: Place) -> None:
        """Begin a run with a ledger of its own."""
        self.end()
        self._place, self._next, self._free = place, place.index, []
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"load-{place.slot}-{place.index}-{time.time_ns()}{SUFFIX}"
        self.path = self._folder / name
        self._ledger = LedgerWriter(self.path)

    def end(self) -> None:
        """Close the run's ledger, so that it can be read."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    @property
    def ledger(self) -> LedgerWriter:
        """Where readings are noted."""
        assert self._ledger is not None, "no run has begun"
        return self._ledger

    def take(self) -> int:
        """Return the lowest number that nobody has."""
        if self._free:
            return heapq.heappop(self._free)
        number = self._next
        self._next += self._place.processes
        return number

    def give_back(self, number: int) -> None:
        """Let another user have a number."""
        heapq.heappush(self._free, number)

    def name(self, number: int) -> str:
        """Return the name of a device."""
        return f"load-{self._place.slot}-{number:04}"

    def boot_ms(self) -> int:
        """Return when a device boots that boots now: later than each before."""
        self._last_boot_ms = max(time.time_ns() // 1_000_000, self._last_boot_ms + 1)
        return self._last_boot_ms
