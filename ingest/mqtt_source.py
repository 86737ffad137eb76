"""The way in by MQTT: a durable session at the broker, resumed on every connection."""

import asyncio
from contextlib import suppress

import gmqtt.mqtt.handler

from ingest.backoff import Backoff
from ingest.connection import Connection
from ingest.pipeline import Pipeline
from ingest.settings import IngestSettings
from ingest.tally import Tally
from telemetry import log
from telemetry.topics import TopicRouter

_REFUSED = 0x80
_logger = log.get(__name__)


class BrokerRefusal(Exception):
    """Raised when the broker accepts the connection, but not what we ask of it."""


class MqttSource:
    """Hands the broker's messages to the pipeline, and reconnects as often as it takes."""

    def __init__(
        self, settings: IngestSettings, router: TopicRouter, pipeline: Pipeline, tally: Tally
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._tally = tally
        self._filters = _filters(router, settings.share_group)
        self._connection: Connection | None = None
        self._reading = asyncio.Event()
        self._reading.set()
        self.problem: str | None = "not connected yet"

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        backoff = Backoff(0.2, 10.0)
        while True:
            try:
                connection = await self._connect()
                backoff.reset()
                await connection.lost.wait()
                self._note("the connection was lost")
            except (OSError, TimeoutError, BrokerRefusal) as error:
                self._note(str(error) or type(error).__name__)
            except gmqtt.mqtt.handler.MQTTConnectError as error:
                self._note(f"the broker refuses the connection: {error}")
            await asyncio.sleep(backoff.next_seconds())

    def pause(self) -> None:
        """Take no more messages; those taken can still be acknowledged."""
        self._reading.clear()

    async def disconnect(self) -> None:
        """Say goodbye to the broker, which keeps the session and the subscription."""
        if self._connection is not None and self._connection.is_connected:
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(2.0):
                    await self._connection.disconnect()

    async def _connect(self) -> Connection:
        settings = self._settings
        connection = Connection(
            settings.client_id,
            on_arrival=self._pipeline.accept,
            room=self._room,
            tally=self._tally,
            session_expiry_interval=settings.session_expiry_seconds,
            receive_maximum=settings.receive_maximum,
        )
        connection.set_auth_credentials(settings.username, settings.password.value)
        try:
            async with asyncio.timeout(settings.connect_timeout_seconds):
                await connection.connect(
                    settings.broker_host, settings.broker_port, keepalive=settings.keepalive_seconds
                )
                await self._subscribe(connection)
        except BaseException:
            connection.drop()
            raise
        self._connection = connection
        self._tally.connects += 1
        self.problem = None
        _logger.info("connected to the broker", client_id=settings.client_id)
        return connection

    async def _subscribe(self, connection: Connection) -> None:
        granted = await connection.subscribe_to(self._filters)
        for topic_filter, code in zip(self._filters, granted, strict=True):
            if code >= _REFUSED:
                raise BrokerRefusal(
                    f"the broker refuses the subscription {topic_filter}: {code:#x}"
                )

    async def _room(self) -> None:
        await self._reading.wait()
        await self._pipeline.room()

    def _note(self, problem: str) -> None:
        if self.problem != problem:
            _logger.warning("no connection to the broker", problem=problem)
        self.problem = problem


def _filters(router: TopicRouter, share_group: str) -> list[str]:
    shared = f"$share/{share_group}/" if share_group else ""
    return [f"{shared}{template.subscription}" for template in router.templates]
