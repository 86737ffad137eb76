"""A person's replays: what is in the spool or in quarantine, once more on its way to the store."""

import asyncio
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from ingest.grant import Grant
from ingest.message import Message
from ingest.quarantine import Quarantine, QuarantineRecord, read_segment
from ingest.service import IngestService
from ingest.settings import IngestSettings

_NO_SPOOLING_MS = 3_600_000
_POLL_SECONDS = 0.05

Say = Callable[[str], None]


async def replay_spool(settings: IngestSettings, say: Say) -> int:
    """Store what is in the spool; return how many readings. Raises SpoolInUse, OSError."""
    service = IngestService(settings, connected=False)
    async with service.working():
        await _empty_spool(service, say)
    return service.tally.replayed


async def replay_quarantine(settings: IngestSettings, say: Say) -> tuple[int, int]:
    """Decode and store again what is in quarantine; return how many were stored and kept again.

    What still cannot be stored comes back into quarantine, with its reason of now.
    """
    with tempfile.TemporaryDirectory() as folder:
        # A running ingest holds the real spool; nothing is to go there anyhow.
        apart = {"spool_dir": folder, "spool_after_ms": _NO_SPOOLING_MS}
        service = IngestService(msgspec.structs.replace(settings, **apart), connected=False)
        quarantine = Quarantine(settings.quarantine_folder, settings.quarantine_bytes)
        async with service.working():
            for path in await asyncio.to_thread(quarantine.close_segments):
                for message in _messages(path):
                    await service.intake.room()
                    service.intake.accept(message)
                await service.drain()
                # Where the store was away, it went to the spool apart, which ends with us.
                await _empty_spool(service, say)
                # Gone already where the budget took it, the oldest, for what came meanwhile.
                path.unlink(missing_ok=True)
                say(f"{path.name}: done")
    return sum(service.tally.written), service.tally.quarantined


async def _empty_spool(service: IngestService, say: Say) -> None:
    """Wait until what is in the spool is stored, or in quarantine."""
    left = service.tally.spooled
    while service.tally.spooled:
        if service.tally.spooled != left:
            left = service.tally.spooled
            say(f"{left:,} readings are left")
        await asyncio.sleep(_POLL_SECONDS)
    await service.drain()


def _messages(path: Path) -> Iterator[Message]:
    """Yield the messages of a file; of a pack each bad reading is a record, the message is one."""
    last: QuarantineRecord | None = None
    for record in read_segment(path):
        if last is None or _content(record) != _content(last):
            yield Message(
                record.topic,
                record.payload,
                record.qos,
                record.time_ms,
                content_type=record.content_type,
                grant=None if record.devices is None else Grant(record.devices),
            )
        last = record


def _content(record: QuarantineRecord) -> tuple[object, ...]:
    return record.time_ms, record.topic, record.payload, record.devices
