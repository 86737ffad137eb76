"""The pipeline: batch after batch is made durable, in the store or else in the spool.

Only then are its messages acknowledged: a receipt is released when every reading of its message is
in the store, in the spool or in quarantine.
"""

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
        """Make what is held durable without delay; returns when all of it is."""
        self._patience_seconds = 0.0
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
            if self._writer.away_seconds > self._patience_seconds:
                refused = await self._spooling.take(batch)
                if refused is not None:
                    self._settle_spooled(batch, refused)
                    return
            try:
                refused = await self._writer.write(batch.readings, give_up_at_s=self._give_up_at_s)
            except StoreError:
                continue  # the writer has noted it, and keeps the pace
            self._settle_stored(batch, refused)
            return

    @property
    def _give_up_at_s(self) -> float:
        """Until when a batch may wait for its turn at a store that is away.

        Where the spool has no room either, there is nothing to hurry for.
        """
        longest = 1.0 if self._spooling.problem is not None else self._patience_seconds
        return time.monotonic() + max(longest - self._writer.away_seconds, 0.05)

    def _settle_stored(self, batch: Batch, refused: Iterable[Refused]) -> None:
        confirmed_ms = time.time_ns() // 1_000_000
        for kind, times_ms in batch.times_ms.items():
            self._latencies.record(kind, [confirmed_ms - time_ms for time_ms in times_ms])
        kept = self._quarantine(batch, refused)
        for qos in range(3):
            self._tally.written[qos] += kept[qos]
        self._tally.batches += 1
        self._settle(batch, kept)

    def _settle_spooled(self, batch: Batch, refused: Iterable[Refused]) -> None:
        kept = self._quarantine(batch, refused)
        self._tally.spooled += sum(kept)
        self._settle(batch, kept)

    def _quarantine(self, batch: Batch, refused: Iterable[Refused]) -> list[int]:
        """Send the refused readings to quarantine; return how many are left, by level."""
        kept = list(batch.by_qos)
        for one in refused:
            message = batch.message_of(one.index)
            kept[message.qos] -= 1
            self._intake.quarantine(message, one.reason)
        return kept

    def _settle(self, batch: Batch, kept: list[int]) -> None:
        self._tally.in_flight -= sum(kept)
        settle([message.receipt for message in batch.messages if message.receipt is not None])
