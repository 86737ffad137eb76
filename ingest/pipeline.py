"""The pipeline: a message is decoded, joins a batch, is written, and only then acknowledged.

It knows no protocol. A source hands it messages with `accept` and waits for `room` before it reads
more; a receipt is released when every reading of its message is in the store or in quarantine.
"""

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from ingest.backoff import Backoff
from ingest.batch import Batch, RecentlySeen
from ingest.message import Message, settle
from ingest.quarantine import QuarantineRecord
from ingest.quarantining import Quarantining
from ingest.settings import IngestSettings
from ingest.tally import Tally
from telemetry import log
from telemetry.latency import Latencies
from telemetry.payload import PayloadError, decode
from telemetry.reading import Reading
from telemetry.store import (
    Refused,
    Store,
    StoreError,
    StoreMisconfigured,
    StoreThrottled,
)
from telemetry.topics import Route, TopicError, TopicRouter

_AHEAD_MS = 5 * 60 * 1000  # how far ahead a device's clock may be
_REOPEN_SHARE = 0.75  # reading goes on when so much of what may be held is left
_logger = log.get(__name__)


class Pipeline:
    """From received messages to stored readings, bounded in readings and bytes."""

    def __init__(
        self,
        settings: IngestSettings,
        store: Store,
        quarantining: Quarantining,
        router: TopicRouter,
        tally: Tally,
        latencies: Latencies,
    ) -> None:
        self._settings = settings
        self._store = store
        self._quarantining = quarantining
        quarantining.on_durable = self._mind_room
        self._router = router
        self._tally = tally
        self._latencies = latencies
        self._seen = RecentlySeen()
        self._open = Batch()
        self._writing = Batch()
        self._filled = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        # One thread: the store sees one batch at a time, in order.
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        self.store_problem: str | None = None

    def accept(self, message: Message) -> None:
        """Take a message over; never raises. The source then releases the message's own part."""
        self._tally.messages += 1
        try:
            self._decode(message)
        except (PayloadError, TopicError) as error:
            self._reject(message, str(error))
        except Exception as error:
            # Whatever it is, the message must end somewhere: unkept it would block the window.
            _logger.exception("a message could not be handled and goes to quarantine")
            self._reject(message, f"not handled: {error!r}")
        if message.receipt is not None:
            message.receipt.pending -= 1

    async def room(self) -> None:
        """Wait until there is room for more messages."""
        await self._room.wait()

    @property
    def has_room(self) -> bool:
        """Whether a source may read on."""
        return self._room.is_set()

    async def run(self) -> None:
        """Write batch after batch until cancelled."""
        while True:
            await self._filled.wait()
            await self._linger()
            self._writing, self._open = self._open, Batch()
            self._filled.clear()
            self._full.clear()
            await self._write(self._writing)
            self._writing = Batch()
            self._mind_room()
            if not self._open:
                self._idle.set()

    async def drain(self) -> None:
        """Write what is held at once; returns when all of it is durable."""
        self._stopping = True
        self._full.set()
        await self._idle.wait()
        await self._quarantining.drained()

    async def write_own(self, reading: Reading) -> None:
        """Store a figure of our own, outside all counts; a failure is only noted."""
        try:
            await self._store_write([reading])
        except StoreError as error:
            self.store_problem = str(error)

    async def check_store(self) -> None:
        """Note whether the store answers, as long as no write does so."""
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._writer, self._store.check)
            self.store_problem = None
        except StoreError as error:
            self.store_problem = str(error)

    def close(self) -> None:
        """Count what could not be kept and let the store go."""
        dropped = self._open.by_qos[0] + self._writing.by_qos[0]
        self._tally.dropped["stopped"] += dropped
        self._tally.in_flight -= dropped
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._store.close()

    def _decode(self, message: Message) -> None:
        if len(message.payload) > self._settings.payload_bytes:
            raise PayloadError(f"a payload of {len(message.payload)} bytes is too large")
        route = self._route(message)
        decoded = decode(
            message.payload,
            route.address,
            arrival_ms=message.arrival_ms,
            content_type=message.content_type,
            template_format=route.format,
        )
        self._tally.left_out_values += decoded.left_out
        for rejected in decoded.rejected:
            self._reject(message, rejected.reason, rejected.index)
        readings = self._within_retention(message, decoded.readings)
        if readings:
            self._add(message, readings)

    def _route(self, message: Message) -> Route:
        if isinstance(message.topic, bytes):
            raise TopicError("the topic is not UTF-8")
        return self._router.route(message.topic)

    def _within_retention(self, message: Message, readings: list[Reading]) -> list[Reading]:
        newest = message.arrival_ms + _AHEAD_MS
        oldest = message.arrival_ms - self._settings.retention_hours * 3_600_000
        if all(oldest <= reading.time_ms <= newest for reading in readings):
            return readings
        kept = []
        for index, reading in enumerate(readings):
            if oldest <= reading.time_ms <= newest:
                kept.append(reading)
            else:
                part = index if len(readings) > 1 else None
                self._reject(message, f"time {reading.time_ms} ms is out of range", part)
        return kept

    def _add(self, message: Message, readings: list[Reading]) -> None:
        repeats = self._seen.count_repeats(readings)
        if not repeats and message.dup and message.qos:
            repeats = len(readings)
        self._tally.repeated += repeats
        self._tally.received[message.qos] += len(readings)
        self._tally.in_flight += len(readings)
        self._open.add(message, readings, repeats)
        self._idle.clear()
        self._filled.set()
        if len(self._open) >= self._settings.batch_readings:
            self._full.set()
        self._mind_room()

    def _reject(self, message: Message, reason: str, index: int | None = None) -> None:
        self._tally.received[message.qos] += 1
        self._tally.in_flight += 1
        self._quarantine(message, reason, index)

    def _quarantine(self, message: Message, reason: str, index: int | None) -> None:
        topic = message.topic
        record = QuarantineRecord(
            message.arrival_ms,
            topic if isinstance(topic, str) else topic.decode("utf-8", "backslashreplace"),
            message.qos,
            reason,
            message.payload,
            message.content_type,
            index,
        )
        self._quarantining.put(record, message.receipt)

    def _mind_room(self) -> None:
        readings = self._tally.in_flight / self._settings.held_readings
        held_bytes = self._open.payload_bytes + self._writing.payload_bytes
        held_bytes += self._quarantining.held_bytes
        share = max(readings, held_bytes / self._settings.held_bytes)
        if share >= 1:
            self._room.clear()
        elif share < _REOPEN_SHARE:
            self._room.set()

    async def _linger(self) -> None:
        if self._stopping:
            return
        try:
            async with asyncio.timeout(self._settings.flush_interval_ms / 1000):
                await self._full.wait()
        except TimeoutError:
            pass

    async def _write(self, batch: Batch) -> None:
        self._tally.overwritten += batch.overwritten()
        refused = await self._write_until_stored(batch)
        confirmed_ms = time.time_ns() // 1_000_000
        for kind, times_ms in batch.times_ms.items():
            self._latencies.record(kind, [confirmed_ms - time_ms for time_ms in times_ms])
        self._settle(batch, refused)

    async def _write_until_stored(self, batch: Batch) -> list[Refused]:
        backoff = Backoff(0.2, 5.0)
        while True:
            try:
                started = time.monotonic()
                refused = await self._store_write(batch.readings)
                self._tally.write_seconds += time.monotonic() - started
                return refused
            except StoreError as error:
                await self._note_failure(error, backoff)

    async def _store_write(self, readings: list[Reading]) -> list[Refused]:
        loop = asyncio.get_running_loop()
        refused = await loop.run_in_executor(self._writer, self._store.write, readings)
        self.store_problem = None
        return refused

    async def _note_failure(self, error: StoreError, backoff: Backoff) -> None:
        self._tally.write_retries += 1
        delay = backoff.next_seconds()
        if isinstance(error, StoreThrottled):
            delay = max(delay, error.retry_after_seconds)
        if isinstance(error, StoreMisconfigured):
            delay = max(delay, 1.0)
            _logger.error("the store refuses everything", problem=str(error))
        elif self.store_problem is None:
            _logger.warning("the store is away; readings are held", problem=str(error))
        self.store_problem = str(error)
        await asyncio.sleep(delay)

    def _settle(self, batch: Batch, refused: Iterable[Refused]) -> None:
        written = list(batch.by_qos)
        for one in refused:
            message = batch.message_of(one.index)
            written[message.qos] -= 1
            self._quarantine(message, one.reason, None)
        for qos in range(3):
            self._tally.written[qos] += written[qos]
        self._tally.in_flight -= sum(written)
        self._tally.batches += 1
        settle([message.receipt for message in batch.messages if message.receipt is not None])
