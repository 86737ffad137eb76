"""Ingest as a process: the one place where its real parts are chosen and joined."""

import asyncio
import gc
import signal
import socket
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import msgspec

from ingest.intake import Intake
from ingest.pipeline import Pipeline
from ingest.quarantine import Quarantine
from ingest.quarantining import Quarantining
from ingest.settings import IngestSettings
from ingest.sources import Source
from ingest.sources.mqtt.source import MqttSource
from ingest.sources.opening import open_sources
from ingest.spool import Spool
from ingest.spooling import Spooling
from ingest.store_writer import StoreWriter
from ingest.tally import Tally, samples
from telemetry import log
from telemetry.health import Check, listen
from telemetry.healthserver import Page, serve_health
from telemetry.latency import Latencies
from telemetry.lineprotocol import format_line
from telemetry.metrics import Sample, as_values
from telemetry.reading import Reading
from telemetry.settings import SettingError
from telemetry.store import StoreError
from telemetry.store.opening import store_opener
from telemetry.topics import OWN_SITE, TopicRouter, parse_templates

_STORE_CHECK_SECONDS = 2.0
_COLLECT_AFTER = (50_000, 20, 50)  # new objects, and collections of the youngest and the next
_DEPENDENCIES = {"mqtt": "broker"}  # what /readyz calls what a way depends on
_logger = log.get(__name__)


class IngestService:
    """All parts of one ingest process; with `leaving` it takes leave of the broker.

    One that is not `connected` has no sources, as for a replay.
    """

    def __init__(
        self, settings: IngestSettings, *, leaving: bool = False, connected: bool = True
    ) -> None:
        self.settings = settings
        self.tally = Tally(
            spool_budget_bytes=settings.spool_bytes,
            quarantine_budget_bytes=settings.quarantine_bytes,
        )
        self._latencies = Latencies(settings.latency_objective_ms)
        self._stopping = asyncio.Event()
        tally, latencies = self.tally, self._latencies
        router = TopicRouter(parse_templates(settings.topics))
        self.spool = Spool(settings.spool_folder, settings.spool_bytes)
        self._quarantine = Quarantine(settings.quarantine_folder, settings.quarantine_bytes)
        self._quarantining = Quarantining(self._quarantine, tally)
        self.intake = Intake(settings, self._quarantining, router, tally)
        self._writer = StoreWriter(store_opener(settings), tally)
        self.spooling = Spooling(self.spool, self._writer, self._quarantining, tally, latencies)
        self._pipeline = Pipeline(
            settings, self.intake, self._writer, self.spooling, tally, latencies
        )
        self.sources = (
            open_sources(settings, router, self.intake, tally, leaving=leaving) if connected else []
        )

    @property
    def mqtt(self) -> MqttSource:
        """The way in by MQTT; raises SettingError where it is switched off."""
        for source in self.sources:
            if isinstance(source, MqttSource):
                return source
        raise SettingError("INGEST_MQTT=false: there is no session at a broker")

    async def serve(self) -> None:
        """Run until SIGTERM or SIGINT, then finish what was begun."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        _spare_garbage_collector()
        await self.run()

    def stop(self) -> None:
        """Let `run` finish."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until `stop`, then finish what was begun. Raises SpoolInUse."""
        # Held from the start, so that a port that is taken is known before anything is.
        with listen(self.settings.http_host, self.settings.http_port) as listening:
            async with self.working(), self._pages(listening) as port:
                _logger.info("serving health and metrics", port=port)
                await self._stopping.wait()
                await self._finish()

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Keep the parts at work meanwhile."""
        self.spooling.open()
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(part, name=name) for name, part in self._parts().items()]
                yield
                for task in tasks:
                    task.cancel()
        finally:
            self._pipeline.count_dropped()
            self._writer.close()
            self.spooling.close()

    async def drain(self) -> None:
        """Make durable what is held, without delay."""
        await self._pipeline.drain()
        await self._quarantining.drained()

    def _parts(self) -> dict[str, Coroutine[None, None, None]]:
        parts = {
            "pipeline": self._pipeline.run(),
            "spool": self.spooling.run(),
            "quarantine": self._quarantining.run(),
            "store check": self._mind_store(),
        }
        for source in self.sources:
            parts |= source.parts()
        if self.sources:
            parts["figures"] = self._store_figures()
        return parts

    async def _finish(self) -> None:
        _logger.info("stopping: what is held is made durable and acknowledged first")
        for source in self.sources:
            source.pause()
        try:
            async with asyncio.timeout(self.settings.stop_seconds):
                await self.drain()
        except TimeoutError:
            held = self.tally.in_flight
            _logger.warning("stopped before all was written; the broker keeps it", readings=held)
        await asyncio.gather(*(source.disconnect() for source in self.sources))

    def _pages(self, listening: socket.socket) -> AbstractAsyncContextManager[int]:
        return serve_health(
            "ingest",
            listening,
            checks=self._checks(),
            samples=self._samples,
            pages={"/latency": lambda: Page(msgspec.json.encode(self._latencies.encode()))},
        )

    async def _mind_store(self) -> None:
        while True:
            await self._writer.check()
            await asyncio.sleep(_STORE_CHECK_SECONDS)

    async def _store_figures(self) -> None:
        while True:
            await asyncio.sleep(self.settings.figures_interval_ms / 1000)
            self.tally.quarantine_bytes = await asyncio.to_thread(self._quarantine.size)
            now_ms = time.time_ns() // 1_000_000
            values = as_values(self._samples())
            told_ms, self.tally.oldest_written_ms = self.tally.oldest_written_ms, None
            own = Reading(OWN_SITE, self.settings.client_id, "denyut_ingest", now_ms, values)
            try:
                # They are outside all counts, and the next ones tell the same.
                await self._writer.write([format_line(own).encode()], give_up_at_s=time.monotonic())
            except StoreError as error:
                _logger.info("own figures were not stored", problem=str(error))
                if told_ms is not None:
                    self.tally.note_written([told_ms])

    def _samples(self) -> list[Sample]:
        return list(samples(self.tally, self._latencies))

    def _checks(self) -> dict[str, Check]:
        sources = {
            _DEPENDENCIES.get(source.way, source.way): partial(_problem, source)
            for source in self.sources
        }
        return {
            **sources,
            "store": lambda: self._writer.problem,
            "spool": lambda: self.spooling.problem,
            "quarantine": lambda: self._quarantining.problem,
        }


def _problem(source: Source) -> str | None:
    return source.problem


def _spare_garbage_collector() -> None:
    """Let it look at what is new, and seldom.

    What is there by now stays, and what a message leaves behind is freed without it. By its own
    settings it would go through all that is held, which may be 50,000 readings, again and again.
    """
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    gc.enable()
