"""Into the spool while the store is away, and back from it, in order, beside what comes live."""

import asyncio
import time
from collections.abc import Sequence

from ingest.batch import Batch
from ingest.message import Receipt, Receipts, settle
from ingest.quarantine import QuarantineRecord
from ingest.quarantining import Quarantining
from ingest.spool import Spool, SpoolFull
from ingest.spool_segment import Record
from ingest.store_writer import StoreWriter
from ingest.tally import Tally
from telemetry import log
from telemetry.latency import Latencies
from telemetry.lineprotocol import format_line, parse_readings
from telemetry.payload.native import encode_native
from telemetry.reading import Address, Reading
from telemetry.store import Refused, StoreError
from telemetry.topics import READINGS, TopicTemplate

_MOST_READINGS = 5_000  # in one write: small records together cost far less than one by one
_LOOK_SECONDS = 1.0  # how often a folder without segments is looked at for some handed on
_TOPICS = TopicTemplate.parse(READINGS)
_logger = log.get(__name__)


class Spooling:
    """Takes batches from the event loop, and gives them to the store when it is back.

    A replay and a live batch take turns at the store, so neither waits for more than one of the
    other. A record is removed when the store, or the quarantine, has all of it.
    """

    def __init__(
        self,
        spool: Spool,
        writer: StoreWriter,
        quarantining: Quarantining,
        tally: Tally,
        latencies: Latencies,
    ) -> None:
        self._spool = spool
        self._writer = writer
        self._quarantining = quarantining
        self._tally = tally
        self._latencies = latencies
        self._filled = asyncio.Event()
        self._write_problem: str | None = None
        self._read_problem: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the spool could not be written or read when that was last tried, or None."""
        return self._write_problem or self._read_problem

    @property
    def has_room(self) -> bool:
        """Whether the last batch that was to go there fitted."""
        return self._write_problem is None

    def open(self) -> None:
        """Lock the spool and take over what is in it. Raises SpoolInUse and OSError."""
        self._note_taken_over(self._spool.open())

    def close(self) -> None:
        """Let the spool's folder go."""
        self._spool.close()

    async def take(self, batch: Batch) -> bool:
        """Make a batch durable in the spool.

        False, and `problem` says why, where the disk or its budget has no room.
        """
        order = sorted(range(len(batch)), key=batch.qos_of)
        lines = b"\n".join([*(batch.lines[index] for index in order), b""])
        by_qos = (batch.by_qos[0], batch.by_qos[1], batch.by_qos[2])
        try:
            await asyncio.to_thread(self._spool.append, lines, by_qos)
        except (OSError, SpoolFull) as error:
            if self._write_problem is None:
                _logger.error(
                    "nothing fits into the spool; reading stops when memory is full", why=str(error)
                )
            self._write_problem = str(error)
            return False
        self._write_problem = None
        self._tally.spool_bytes = self._spool.bytes
        self._filled.set()
        return True

    def note_unneeded(self) -> None:
        """Note that the store takes batches again: whether the spool would is no question now."""
        self._write_problem = None

    async def run(self) -> None:
        """Replay what is in the spool until cancelled."""
        while True:
            # Cleared before the look, so that what comes after it is not overlooked.
            self._filled.clear()
            try:
                found = await self._replay_oldest()
                if not found:
                    self._note_taken_over(await asyncio.to_thread(self._spool.take_over))
                self._read_problem = None
            except OSError as error:
                if self._read_problem is None:
                    _logger.error("the spool cannot be read; what is in it waits", why=str(error))
                self._read_problem = str(error)
                found = False
            if not found:
                await self._wait_filled()

    async def _wait_filled(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._filled.wait()
        except TimeoutError:
            pass

    async def _replay_oldest(self) -> bool:
        found = await asyncio.to_thread(self._spool.oldest_together, _MOST_READINGS)
        if not found:
            return False
        if found[0].is_whole:
            await self._replay(found)
        else:
            await self._give_up(found[0], "damaged")
        await asyncio.to_thread(self._remove, found)
        self._tally.spool_bytes = self._spool.bytes
        return True

    def _remove(self, found: list[Record]) -> None:
        for record in found:
            self._spool.remove(record)

    async def _replay(self, found: list[Record]) -> None:
        levels = [qos for record in found for qos in (0, 1, 2) for _ in range(record.by_qos[qos])]
        try:
            readings, lines = await asyncio.to_thread(_parse, found, len(levels))
        except ValueError as error:
            if len(found) > 1:
                for record in found:
                    await self._replay([record])
            else:
                # Written by us, and yet unreadable to us: a person must see it, others go on.
                await self._give_up(found[0], f"unreadable ({error})")
            return
        refused = await self._write_until_stored(lines)
        written = [sum(record.by_qos[qos] for record in found) for qos in (0, 1, 2)]
        for one in refused:
            written[levels[one.index]] -= 1
        await self._quarantine(
            [_refused_record(readings[one.index], levels[one.index], one) for one in refused],
            of_spooled=len(refused),
        )
        for qos in range(3):
            self._tally.written[qos] += written[qos]
        self._tally.spooled -= sum(written)
        self._tally.replayed += sum(written)
        self._tally.batches += 1
        confirmed_ms = time.time_ns() // 1_000_000
        self._latencies.record("late", [confirmed_ms - one.time_ms for one in readings])
        self._tally.note_written(one.time_ms for one in readings)

    async def _write_until_stored(self, lines: Sequence[bytes]) -> list[Refused]:
        while True:
            try:
                return await self._writer.write(lines)
            except StoreError:
                continue  # the writer has noted it, and keeps the pace

    async def _give_up(self, record: Record, how: str) -> None:
        """Put a record whose lines are not what was written into quarantine, for a person."""
        _logger.error(
            "a part of the spool goes to quarantine",
            how=how,
            path=str(record.path),
            at=record.start,
        )
        kept = QuarantineRecord(
            time_ms=time.time_ns() // 1_000_000,
            topic="",
            qos=2,
            reason=f"a part of the spool is {how}: {record.readings} readings",
            payload=record.lines,
        )
        await self._quarantine([kept], of_spooled=record.readings)

    async def _quarantine(self, records: list[QuarantineRecord], *, of_spooled: int) -> None:
        """Return once the records are durable; they count as so many readings of the spool."""
        if not records:
            return
        durable = asyncio.Event()
        receipt = Receipts[Receipt](lambda _ready: durable.set()).owe(Receipt())
        self._tally.spooled -= of_spooled
        self._tally.in_flight += of_spooled
        for number, record in enumerate(records):
            readings = of_spooled - len(records) + 1 if number == 0 else 1
            self._quarantining.put(record, receipt, readings=readings)
        settle([receipt])
        await durable.wait()

    def _note_taken_over(self, readings: int) -> None:
        self._tally.taken_over += readings
        self._tally.spooled += readings
        self._tally.spool_bytes = self._spool.bytes
        if readings:
            _logger.info("took over readings from the spool", readings=readings)


def _parse(found: list[Record], count: int) -> tuple[list[Reading], list[bytes]]:
    """Return the readings of records, and the line of each."""
    text = b"".join(record.lines for record in found)
    readings = parse_readings(text.decode())
    if len(readings) != count:
        raise ValueError(f"{len(readings)} readings where {count} were written")
    lines = text.split(b"\n")[:-1]
    if len(lines) != count:  # a text holds a newline
        lines = [format_line(reading).encode() for reading in readings]
    return readings, lines


def _refused_record(reading: Reading, qos: int, refused: Refused) -> QuarantineRecord:
    return QuarantineRecord(
        time_ms=time.time_ns() // 1_000_000,
        topic=_TOPICS.topic(Address(reading.site, reading.device, reading.measurement)),
        qos=qos,
        reason=refused.reason,
        payload=encode_native(reading),
    )
