"""Ingest's real parts without a broker: from the intake to store, spool and quarantine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ingest.intake import Intake
from ingest.message import Message, Receipts
from ingest.pipeline import Pipeline
from ingest.quarantine import Quarantine
from ingest.quarantining import Quarantining
from ingest.settings import IngestSettings
from ingest.sources.mqtt.packet_receipts import PacketReceipt
from ingest.spool import Spool
from ingest.spooling import Spooling
from ingest.store_writer import StoreWriter
from ingest.tally import Tally
from telemetry.latency import Latencies
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.topics import READINGS, TopicRouter, TopicTemplate
from tests.failing_store import FailingStore

TOPIC = "telemetry/jakarta/node-1/weather"


def reading(seq: int, *, time_ms: int) -> Reading:
    """The reading of a number; `message` carries it."""
    return Reading("jakarta", "node-1", "weather", time_ms + seq, {"a": 1.0}, time_ms, seq)


class Parts:
    """The parts of one process over the folder of an ingest, which another may have left."""

    def __init__(self, folder: Path, /, **changed: object) -> None:
        self.settings = settings = IngestSettings.load(
            {},
            **{
                "password": Secret("hush"),
                "store_url": f"sqlite:///{folder}/store.db",
                "data_dir": str(folder),
                "flush_interval_ms": 1,
                "spool_after_ms": 0,
            }
            | changed,
        )
        self.tally = Tally()
        latencies = Latencies()
        router = TopicRouter([TopicTemplate.parse(READINGS)])
        self.store = FailingStore(f"{folder}/store.db")
        self.spool = Spool(settings.spool_folder, settings.spool_bytes)
        self.quarantine = Quarantine(settings.quarantine_folder, settings.quarantine_bytes)
        self.quarantining = Quarantining(self.quarantine, self.tally)
        self.intake = Intake(settings, self.quarantining, router, self.tally)
        self.writer = StoreWriter(lambda: self.store, self.tally)
        self.spooling = Spooling(self.spool, self.writer, self.quarantining, self.tally, latencies)
        self.pipeline = Pipeline(
            settings, self.intake, self.writer, self.spooling, self.tally, latencies
        )
        self.acknowledged: list[int] = []
        self.receipts = Receipts[PacketReceipt](
            lambda ready: self.acknowledged.extend([one.packet_id for one in ready])
        )

    @staticmethod
    def receipt(number: int) -> PacketReceipt:
        """Return a receipt whose number `acknowledged` has in the end."""
        return PacketReceipt(0x40, number)

    def take(self, number: int, payload: bytes, *, qos: int = 1, arrival_ms: int) -> None:
        """Take a message over, as its source would; `acknowledged` has its number in the end."""
        receipt = self.receipts.owe(self.receipt(number)) if qos else None
        self.intake.accept(Message(TOPIC, payload, qos, arrival_ms, receipt=receipt))

    def take_reading(self, seq: int, *, time_ms: int, qos: int = 1) -> None:
        """Take the reading of a number over."""
        body = encode_native(reading(seq, time_ms=time_ms))
        self.take(seq, body, qos=qos, arrival_ms=time_ms)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Keep the parts at work meanwhile; after it they are dropped as they are."""
        self.spooling.open()
        tasks = [
            asyncio.create_task(part)
            for part in (self.pipeline.run(), self.spooling.run(), self.quarantining.run())
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            self.store.answers.set()
            self.writer.close()
            self.spooling.close()
            assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends
