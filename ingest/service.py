"""Ingest as a process: the one place where its real parts are chosen and joined."""

import asyncio
import signal
import time
from pathlib import Path

from aiohttp import web

from ingest.mqtt_source import MqttSource
from ingest.pipeline import Pipeline
from ingest.quarantine import Quarantine
from ingest.quarantining import Quarantining
from ingest.settings import IngestSettings
from ingest.tally import Tally, samples
from telemetry import log
from telemetry.health import Check
from telemetry.healthserver import serve_health
from telemetry.latency import Latencies
from telemetry.metrics import Sample, as_values
from telemetry.reading import Reading
from telemetry.store.opening import open_store
from telemetry.topics import TopicRouter, parse_templates

_STORE_CHECK_SECONDS = 2.0
_logger = log.get(__name__)


class IngestService:
    """All parts of one ingest process."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self.tally = Tally()
        self._latencies = Latencies()
        self._stopping = asyncio.Event()
        router = TopicRouter(parse_templates(settings.topics))
        store = open_store(settings)
        quarantine = Quarantine(Path(settings.data_dir) / "quarantine", settings.quarantine_bytes)
        self._quarantining = Quarantining(quarantine, self.tally)
        self._pipeline = Pipeline(
            settings, store, self._quarantining, router, self.tally, self._latencies
        )
        self._source = MqttSource(settings, router, self._pipeline, self.tally)

    async def serve(self) -> None:
        """Run until SIGTERM or SIGINT, then finish what was begun."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        await self.run()

    def stop(self) -> None:
        """Let `run` finish."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until `stop`, then finish what was begun."""
        health = serve_health(
            "ingest",
            self._settings.http_host,
            self._settings.http_port,
            checks=self._checks(),
            samples=self._samples,
            routes={"/latency": self._latency_page},
        )
        async with health as port:
            _logger.info("serving health and metrics", port=port)
            await self._run()

    async def _run(self) -> None:
        parts = {
            "pipeline": self._pipeline.run(),
            "quarantine": self._quarantining.run(),
            "source": self._source.run(),
            "store check": self._mind_store(),
            "figures": self._store_figures(),
        }
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part, name=name) for name, part in parts.items()]
            await self._stopping.wait()
            await self._finish()
            for task in tasks:
                task.cancel()
        self._pipeline.close()

    async def _finish(self) -> None:
        _logger.info("stopping: what is held is written and acknowledged first")
        self._source.pause()
        try:
            async with asyncio.timeout(self._settings.stop_seconds):
                await self._pipeline.drain()
        except TimeoutError:
            held = self.tally.in_flight
            _logger.warning("stopped before all was written; the broker keeps it", readings=held)
        await self._source.disconnect()

    async def _mind_store(self) -> None:
        while True:
            await self._pipeline.check_store()
            await asyncio.sleep(_STORE_CHECK_SECONDS)

    async def _store_figures(self) -> None:
        while True:
            await asyncio.sleep(self._settings.figures_interval_ms / 1000)
            now_ms = time.time_ns() // 1_000_000
            values = as_values(self._samples())
            own = Reading("denyut", self._settings.client_id, "denyut_ingest", now_ms, values)
            await self._pipeline.write_own(own)

    def _samples(self) -> list[Sample]:
        return list(samples(self.tally, self._latencies))

    def _checks(self) -> dict[str, Check]:
        return {
            "broker": lambda: self._source.problem,
            "store": lambda: self._pipeline.store_problem,
            "quarantine": lambda: self._quarantining.problem,
        }

    async def _latency_page(self, _request: web.Request) -> web.Response:
        return web.json_response(self._latencies.encode())
