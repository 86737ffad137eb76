"""Into quarantine off the write path: records are gathered, synced in a thread, then settled."""

import asyncio
from collections.abc import Callable

from msgspec import Struct

from ingest.backoff import Backoff
from ingest.message import Receipt, settle
from ingest.quarantine import Quarantine, QuarantineRecord
from ingest.tally import Tally
from telemetry import log
from telemetry.rarelog import RareLog

_GROUP_BYTES = 8_000_000
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_logger = log.get(__name__)


class _Waiting(Struct, frozen=True):
    """A record on its way, whom to tell when it is there, and how many readings it counts for."""

    record: QuarantineRecord
    receipt: Receipt | None
    readings: int


class Quarantining:
    """Takes records from the event loop; one group is on its way to the disk at a time."""

    def __init__(self, quarantine: Quarantine, tally: Tally) -> None:
        self._quarantine = quarantine
        self._tally = tally
        self._log = RareLog(_logger)
        self._waiting: list[_Waiting] = []
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.on_durable: Callable[[], None] = lambda: None
        self.held_bytes = 0
        self.problem: str | None = None

    def put(self, record: QuarantineRecord, receipt: Receipt | None, *, readings: int = 1) -> None:
        """Take a record over; its receipt gets one more part that is not durable yet."""
        if receipt is not None:
            receipt.pending += 1
        self._waiting.append(_Waiting(record, receipt, readings))
        self.held_bytes += len(record.payload)
        self._idle.clear()
        self._filled.set()

    async def run(self) -> None:
        """Write group after group until cancelled."""
        while True:
            await self._filled.wait()
            group = self._next_group()
            await self._keep([one.record for one in group])
            self._count(group)
            settle([one.receipt for one in group if one.receipt is not None])
            self.on_durable()
            if not self._waiting:
                self._filled.clear()
                self._idle.set()

    async def drained(self) -> None:
        """Wait until every record is on the disk."""
        await self._idle.wait()

    def _next_group(self) -> list[_Waiting]:
        """Take the oldest records, as far as they fit into one write."""
        size, count = 0, 0
        for one in self._waiting:
            size += len(one.record.payload)
            if count and size > _GROUP_BYTES:
                break
            count += 1
        group, self._waiting = self._waiting[:count], self._waiting[count:]
        return group

    async def _keep(self, records: list[QuarantineRecord]) -> None:
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            try:
                evicted = await asyncio.to_thread(self._quarantine.keep, records)
            except OSError as error:
                if self.problem is None:
                    _logger.error("the quarantine cannot be written", problem=str(error))
                self.problem = str(error)
                await asyncio.sleep(backoff.next_seconds())
            else:
                self.problem = None
                self._note_evicted(evicted)
                return

    def _note_evicted(self, evicted: int) -> None:
        if evicted:
            self._tally.quarantine_evicted += evicted
            self._log.error("the quarantine is full: its oldest files are gone", files=evicted)

    def _count(self, group: list[_Waiting]) -> None:
        readings = sum(one.readings for one in group)
        self._tally.quarantined += readings
        self._tally.in_flight -= readings
        self.held_bytes -= sum(len(one.record.payload) for one in group)
