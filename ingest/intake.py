"""The intake: a message is decoded, its readings join a batch, what is none goes to quarantine.

It knows no protocol. A source hands it messages with `accept`, and waits for `room` before it reads
more: that bounds what ingest holds, in readings and bytes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from ingest.batch import Batch
from ingest.hotpath.addressed import AddressedPacks
from ingest.hotpath.layouts import Layouts
from ingest.hotpath.quick import QuickReader
from ingest.lingering import linger_seconds
from ingest.message import Message
from ingest.quarantine import QuarantineRecord
from ingest.quarantining import Quarantining
from ingest.series import AllSeries, Series
from ingest.settings import IngestSettings
from ingest.tally import Tally
from telemetry import log
from telemetry.lineprotocol import LineProtocolError, format_line
from telemetry.payload import Decoded, PayloadError, Rejected, decode
from telemetry.reading import Reading
from telemetry.topics import READINGS, TopicError, TopicRouter, TopicTemplate

_AHEAD_MS = 5 * 60 * 1000  # how far ahead a device's clock may be
_MOST_RECORDS = 20  # of one message in quarantine
_LARGE_SHARE = 0.1  # of a full batch, from which on it is written when nothing more comes
_QUIET_SECONDS = 0.005  # in which nothing came: who sends waits for answers, as it seems
_REOPEN_SHARE = 0.75  # reading goes on when so much of what may be held is left
_TOPICS = TopicTemplate.parse(READINGS)
_logger = log.get(__name__)


class Intake:
    """Batches of decoded readings, waiting to be made durable in the order of their arrival.

    `idle` is set while no batch waits or is being made durable.
    """

    def __init__(
        self,
        settings: IngestSettings,
        quarantining: Quarantining,
        router: TopicRouter,
        tally: Tally,
    ) -> None:
        self._settings = settings
        self._quarantining = quarantining
        quarantining.on_durable = self.mind_room
        self._router = router
        self._tally = tally
        self._series = AllSeries()
        layouts = Layouts()
        self._quick = QuickReader(layouts, self._series_of)
        self._quick_packs = AddressedPacks(layouts, self._series)
        self._retention_ms = settings.retention_hours * 3_600_000
        self._payload_bytes = settings.payload_bytes
        self._batch_readings = settings.batch_readings
        self._large_readings = max(1, int(settings.batch_readings * _LARGE_SHARE))
        self._most_readings, self._most_bytes = settings.held_readings, settings.held_bytes
        self._open = Batch()
        self._closed: deque[Batch] = deque()
        self._held_bytes = 0
        self._filled = asyncio.Event()
        self._large = asyncio.Event()
        self._full = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._lingers = True
        self._opened_s = 0.0
        self._returned_s = 0.0
        self.idle = asyncio.Event()
        self.idle.set()

    def accept(self, message: Message) -> None:
        """Take a message over; never raises. The source then releases the message's own part."""
        self._tally.messages += 1
        try:
            if self._accept_quickly(message):
                # The part of the receipt that was the source's is the batch's from here on.
                return
            self._decode(message)
        except (PayloadError, TopicError) as error:
            self._reject_whole(message, str(error))
        except Exception as error:
            # Whatever it is, the message must end somewhere: unkept it would block the window.
            _logger.exception("a message could not be handled and goes to quarantine")
            self._reject_whole(message, f"not handled: {error!r}")
        if message.receipt is not None:
            message.receipt.pending -= 1

    def refuse(self, message: Message, reason: str) -> None:
        """Take over, for quarantine, a message that its source could not read."""
        self._tally.messages += 1
        self._reject_whole(message, reason)
        if message.receipt is not None:
            message.receipt.pending -= 1

    def has_room(self) -> bool:
        """Tell whether there is room for more messages."""
        return self._room.is_set()

    async def room(self) -> None:
        """Wait until there is room for more messages."""
        await self._room.wait()

    async def next_batch(self) -> Batch:
        """Wait for readings and, for a moment, for others of their batch; return the oldest.

        It is asked again when that batch is durable: how long that took says how long to wait. The
        first batch does not wait: whoever starts has a queue behind it.
        """
        took_seconds = time.monotonic() - self._returned_s
        await self._filled.wait()
        if self._returned_s and not self._closed:
            await self._linger(took_seconds)
        batch = self._closed.popleft() if self._closed else self._take_open()
        if not self._closed and not self._open:
            self._filled.clear()
        self._returned_s = time.monotonic()
        return batch

    def hurry(self) -> None:
        """Let no batch wait for more readings from now on."""
        self._lingers = False
        self._large.set()
        self._full.set()

    def release(self, batch: Batch) -> None:
        """Note that a batch is durable: what it held is free."""
        self._held_bytes -= batch.payload_bytes
        if not self._closed and not self._open:
            self.idle.set()
        self.mind_room()

    def mind_room(self) -> None:
        """Open or close the gate, by what is held."""
        readings = self._tally.in_flight / self._most_readings
        held_bytes = (self._held_bytes + self._quarantining.held_bytes) / self._most_bytes
        share = max(readings, held_bytes)
        if share >= 1:
            self._room.clear()
        elif share < _REOPEN_SHARE:
            self._room.set()

    def quarantine(
        self, message: Message, rejected: Sequence[Rejected], *, is_whole: bool = False
    ) -> None:
        """Send readings of a message to quarantine, or with `is_whole` all of it as one.

        They were counted before. Each has a record with the whole message; past the first few they
        share one: else a message of thousands would be written there thousands of times.
        """
        for one in rejected[:_MOST_RECORDS]:
            self._keep(message, one.reason, None if is_whole else one.index)
        rest = rejected[_MOST_RECORDS:]
        if rest:
            reason = f"{rest[0].reason} (the first of {len(rest)} more that were rejected)"
            self._keep(message, reason, rest[0].index, len(rest))
        if message.receipt is not None:
            message.receipt.note_rejected(rejected, is_whole=is_whole)

    def held_at_qos_0(self) -> int:
        """Return how many readings wait here that nobody will send again."""
        return sum(batch.by_qos[0] for batch in (*self._closed, self._open))

    def _accept_quickly(self, message: Message) -> bool:
        """Take over a message with readings of known layouts and nothing else; False for others."""
        payload, arrival_ms = message.payload, message.arrival_ms
        if message.content_type is not None or len(payload) > self._payload_bytes:
            return False
        oldest_ms, newest_ms = arrival_ms - self._retention_ms, arrival_ms + _AHEAD_MS
        if message.topic.__class__ is str and message.grant is None:
            read = self._quick.read(message.topic, payload, oldest_ms, newest_ms)
        elif message.topic is None and message.address is None:
            read = self._quick_packs.read(payload, message.grant, oldest_ms, newest_ms)
        else:
            return False
        if read is None:
            return False
        series, lines, times_ms, repeats = read
        self._open.note_times(series, times_ms)
        self._join(message, lines, times_ms, repeats)
        return True

    def _series_of(self, topic: str) -> Series | None:
        """Return whose readings come on a topic; None where they need not be native ones."""
        try:
            route = self._router.route(topic)
        except TopicError:
            return None
        if route.field is not None or route.format not in (None, "native"):
            return None
        address = route.address
        return self._series.of(address.site, address.device, address.measurement)

    def _decode(self, message: Message) -> None:
        if len(message.payload) > self._payload_bytes:
            raise PayloadError(f"a payload of {len(message.payload)} bytes is too large")
        decoded = self._decoded(message)
        self._tally.left_out_values += decoded.left_out
        if decoded.rejected:
            self._reject(message, decoded.rejected)
        readings = decoded.readings
        places = decoded.places_of_readings()
        if not self._all_welcome(message, readings):
            places, readings = self._welcome(message, readings, places)
        elif not decoded.rejected and not decoded.left_out:
            self._learn(message, readings)
        if readings:
            self._write(message, readings, places)

    def _learn(self, message: Message, readings: list[Reading]) -> None:
        """Let what looks like this message go the quick way from now on."""
        if message.content_type is not None:
            return
        if isinstance(message.topic, str):
            self._quick.learn(message.topic, message.payload, readings)
        elif message.topic is None and message.address is None:
            self._quick_packs.learn(message.payload, readings)

    def _decoded(self, message: Message) -> Decoded:
        payload, content_type = message.payload, message.content_type
        arrival_ms = message.arrival_ms
        if message.topic is None:
            own = message.address
            return decode(payload, own, arrival_ms=arrival_ms, content_type=content_type)
        if isinstance(message.topic, bytes):
            raise TopicError("the topic is not UTF-8")
        route = self._router.route(message.topic)
        return decode(
            payload,
            route.address,
            arrival_ms=arrival_ms,
            content_type=content_type,
            template_format=route.format,
            field=route.field,
        )

    def _all_welcome(self, message: Message, readings: list[Reading]) -> bool:
        oldest, newest = self._accepted_times(message)
        if not all(oldest <= reading.time_ms <= newest for reading in readings):
            return False
        grant = message.grant
        if grant is None:
            return True
        return all(map(grant.allows, {reading.device for reading in readings}))

    def _welcome(
        self, message: Message, readings: list[Reading], places: list[int] | None
    ) -> tuple[list[int], list[Reading]]:
        """Send to quarantine what may not be stored; return the rest, and its places."""
        places = places or list(range(len(readings)))
        is_whole = places == [0]
        kept, rejected = [], []
        for place, reading in zip(places, readings, strict=True):
            why = self._unwelcome(message, reading)
            if why is None:
                kept.append((place, reading))
            else:
                rejected.append(Rejected(place, why))
        self._reject(message, rejected, is_whole=is_whole)
        return [place for place, _ in kept], [reading for _, reading in kept]

    def _unwelcome(self, message: Message, reading: Reading) -> str | None:
        oldest, newest = self._accepted_times(message)
        if not oldest <= reading.time_ms <= newest:
            return f"time {reading.time_ms} ms is out of range"
        if message.grant is not None and not message.grant.allows(reading.device):
            return f"the sender may not write for device {reading.device}"
        return None

    def _accepted_times(self, message: Message) -> tuple[int, int]:
        return message.arrival_ms - self._retention_ms, message.arrival_ms + _AHEAD_MS

    def _write(self, message: Message, readings: list[Reading], places: list[int] | None) -> None:
        """Make lines of readings; what no line can hold goes to quarantine."""
        lines, times_ms, kept, rejected, repeats = [], [], [], [], 0
        for place, reading in zip(places or range(len(readings)), readings, strict=True):
            try:
                lines.append(format_line(reading).encode())
            except LineProtocolError as error:
                rejected.append(Rejected(place, str(error)))
                continue
            series = self._series.of(reading.site, reading.device, reading.measurement)
            if reading.boot_ms is not None and reading.seq is not None:
                repeats += series.seen(reading.boot_ms).note(reading.seq)
            self._open.note_times(series, [reading.time_ms])
            times_ms.append(reading.time_ms)
            kept.append(place)
        if rejected:
            self._reject(message, rejected, is_whole=len(readings) == 1 and places is None)
            places = kept
        if lines:
            if message.receipt is not None:
                message.receipt.pending += 1
            self._join(message, lines, times_ms, repeats, places)

    def _join(
        self,
        message: Message,
        lines: list[bytes],
        times_ms: list[int],
        repeats: int,
        places: list[int] | None = None,
    ) -> None:
        """Let readings join the open batch; a part of the receipt was counted for that."""
        tally, batch, count, qos = self._tally, self._open, len(lines), message.qos
        if message.dup and qos and not repeats:
            repeats = count
        if repeats:
            tally.repeated[qos] += repeats
        tally.received[qos] += count
        tally.in_flight += count
        self._held_bytes += len(message.payload)
        if message.receipt is not None:
            message.receipt.readings += count
        if not batch.lines:
            self._opened_s = time.monotonic()
            self.idle.clear()
            self._filled.set()
        batch.add(message, lines, times_ms, repeats, places)
        if len(batch.lines) >= self._large_readings:
            self._large.set()
            if len(batch.lines) >= self._batch_readings:
                self._closed.append(self._take_open())
                self._full.set()
        held_bytes = self._held_bytes + self._quarantining.held_bytes
        if tally.in_flight >= self._most_readings or held_bytes >= self._most_bytes:
            self.mind_room()

    def _reject(
        self, message: Message, rejected: Sequence[Rejected], *, is_whole: bool = False
    ) -> None:
        self._tally.received[message.qos] += len(rejected)
        self._tally.in_flight += len(rejected)
        if message.receipt is not None:
            message.receipt.readings += len(rejected)
        self.quarantine(message, rejected, is_whole=is_whole)
        self.mind_room()

    def _reject_whole(self, message: Message, reason: str) -> None:
        self._reject(message, [Rejected(0, reason)], is_whole=True)

    def _keep(self, message: Message, reason: str, index: int | None, readings: int = 1) -> None:
        record = QuarantineRecord(
            message.arrival_ms,
            _topic_in_words(message),
            message.qos,
            reason,
            message.payload,
            message.content_type,
            index,
            None if message.grant is None else message.grant.devices,
        )
        self._quarantining.put(record, message.receipt, readings=readings)

    def _take_open(self) -> Batch:
        batch, self._open = self._open, Batch()
        return batch

    async def _linger(self, took_seconds: float) -> None:
        """Wait for more readings, from when the first one of the open batch has come."""
        if self._lingers:
            self._full.clear()
            longest = self._settings.flush_interval_ms / 1000
            waited = time.monotonic() - self._opened_s
            with suppress(TimeoutError):
                async with asyncio.timeout(linger_seconds(took_seconds, longest) - waited):
                    await self._gather()

    async def _gather(self) -> None:
        """Wait until the open batch is full, or large and no more comes for a moment."""
        if len(self._open) < self._large_readings:
            self._large.clear()
        await self._large.wait()
        gathered = -1
        while len(self._open) > gathered and not self._full.is_set():
            gathered = len(self._open)
            with suppress(TimeoutError):
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._full.wait()
            # A busy loop has not read yet what has come.
            await asyncio.sleep(0)


def _topic_in_words(message: Message) -> str | None:
    """Return the topic, or one that names the same address; None where the payload names it."""
    topic = message.topic
    if isinstance(topic, bytes):
        return topic.decode("utf-8", "backslashreplace")
    if topic is None and message.address is not None:
        return _TOPICS.topic(message.address)
    return topic
