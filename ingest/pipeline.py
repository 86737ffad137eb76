"""The pipeline: batch after batch is made durable, in the store or else in the spool.

Only then are its messages acknowledged: a receipt is released when every reading of its message is
in the store, in the spool or in quarantine.
"""

import asyncio
import time
from collections.abc import Iterable

from ingest.batch import Batch
from ingest.intake import Intake
from ingest.message import settle
from ingest.settings import IngestSettings
from ingest.spooling import Spooling
from ingest.store_writer import StoreWriter
from ingest.tally import Tally
from telemetry.latency import Latencies
from telemetry.store import Refused, StoreError

_FULL_SPOOL_SECONDS = 1.0  # how often a spool without room is tried again


class Pipeline:
    """From gathered readings to durable ones."""

    def __init__(
        self,
        settings: IngestSettings,
        intake: Intake,
        writer: StoreWriter,
        spooling: Spooling,
        tally: Tally,
        latencies: Latencies,
    ) -> None:
        self._intake = intake
        self._writer = writer
        self._spooling = spooling
        self._tally = tally
        self._latencies = latencies
        self._patience_seconds = settings.spool_after_ms / 1000
        self._last_try_seconds = settings.stop_seconds / 4
        self._try_seconds: float | None = None
        self._try: asyncio.Timeout | None = None
        self._store_hangs = False
        self._batch = Batch()

    async def run(self) -> None:
        """Make batch after batch durable until cancelled."""
        while True:
            self._batch = await self._intake.next_batch()
            self._tally.overwritten += self._batch.overwritten()
            await self._keep(self._batch)
            self._intake.release(self._batch)
            self._batch = Batch()

    async def drain(self) -> None:
        """Make what is held durable without delay; returns when all of it is.

        A store that does not answer in a quarter of the time that a stop may take is left alone:
        what it was given goes to the spool as well, and is stored twice at most, as once.
        """
        self._patience_seconds = 0.0
        self._try_seconds = self._last_try_seconds
        if self._try is not None:
            self._try.reschedule(asyncio.get_running_loop().time() + self._try_seconds)
        self._intake.hurry()
        await self._intake.idle.wait()

    def count_dropped(self) -> None:
        """Count what nobody keeps at the end: the QoS 0 readings that are still held."""
        dropped = self._intake.held_at_qos_0() + self._batch.by_qos[0]
        self._tally.dropped["stopped"] += dropped
        self._tally.in_flight -= dropped

    async def _keep(self, batch: Batch) -> None:
        while True:
            # A store that has just failed is given its time; a long outage goes to the disk.
            is_away = self._store_hangs or self._writer.away_seconds > self._patience_seconds
            if is_away and await self._spooling.take(batch):
                self._settle_spooled(batch)
                return
            try:
                refused = await self._write(batch)
            except StoreError:
                continue  # the writer has noted it, and keeps the pace
            except TimeoutError:
                self._store_hangs = True
                continue
            self._settle_stored(batch, refused)
            return

    async def _write(self, batch: Batch) -> list[Refused]:
        try:
            async with asyncio.timeout(self._try_seconds) as self._try:
                return await self._writer.write(
                    batch.lines,
                    divisible=batch.divisible,
                    give_up_at_s=self._give_up_at_s,
                )
        finally:
            self._try = None

    @property
    def _give_up_at_s(self) -> float:
        """Until when a batch may wait for its turn at a store that is away.

        Where the spool has no room either, there is nothing to hurry for.
        """
        if not self._spooling.has_room:
            return time.monotonic() + _FULL_SPOOL_SECONDS
        return time.monotonic() + max(self._patience_seconds - self._writer.away_seconds, 0.05)

    def _settle_stored(self, batch: Batch, refused: Iterable[Refused]) -> None:
        self._spooling.note_unneeded()
        confirmed_ms = time.time_ns() // 1_000_000
        for kind, times_ms in batch.times_ms.items():
            self._latencies.record(kind, [confirmed_ms - time_ms for time_ms in times_ms])
            self._tally.note_written(times_ms)
        kept = self._quarantine(batch, refused)
        for qos in range(3):
            self._tally.written[qos] += kept[qos]
        self._tally.batches += 1
        self._settle(batch, kept)

    def _settle_spooled(self, batch: Batch) -> None:
        self._tally.spooled += len(batch)
        self._settle(batch, batch.by_qos)

    def _quarantine(self, batch: Batch, refused: Iterable[Refused]) -> list[int]:
        """Send the refused readings to quarantine; return how many are left, by level."""
        kept = list(batch.by_qos)
        for message, rejected, is_whole in batch.by_message(refused):
            kept[message.qos] -= len(rejected)
            self._intake.quarantine(message, rejected, is_whole=is_whole)
        return kept

    def _settle(self, batch: Batch, kept: list[int]) -> None:
        self._tally.in_flight -= sum(kept)
        settle([message.receipt for message in batch.messages if message.receipt is not None])
