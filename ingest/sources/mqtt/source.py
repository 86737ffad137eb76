"""The way in by MQTT: a durable session at the broker, resumed on every connection."""

import asyncio
import ssl
import time
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path

import gmqtt.mqtt.handler

from ingest.backoff import Backoff
from ingest.intake import Intake
from ingest.message import Message
from ingest.settings import IngestSettings
from ingest.sources import WayName
from ingest.sources.mqtt.broker_watch import BROKER_TOPICS, BrokerWatch
from ingest.sources.mqtt.connection import SESSION_TAKEN_OVER, Connection, Will
from ingest.sources.mqtt.members import STATUSES, Members
from ingest.sources.mqtt.packet_receipts import Unreleased
from ingest.sources.mqtt.session_memory import SessionMemory
from ingest.tally import Tally
from telemetry import log, tls
from telemetry.settings import SettingError
from telemetry.topics import TopicRouter

_REFUSED = 0x80
_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 10.0
_GOODBYE_SECONDS = 2.0
_ORPHAN_LOOK_SECONDS = 1.0
_NOTICED = (*BROKER_TOPICS, STATUSES.removesuffix("+"))
_logger = log.get(__name__)


class BrokerRefusal(Exception):
    """Raised when the broker accepts the connection, but not what we ask of it."""


class MqttSource:
    """Hands the broker's messages to the intake, and reconnects as often as it takes.

    With `leaving` it takes over the session and unsubscribes, so that only what the broker holds
    for it still comes. Raises SettingError where it has no password, or TLS is asked
    for and its files cannot be used.
    """

    def __init__(
        self,
        settings: IngestSettings,
        router: TopicRouter,
        intake: Intake,
        tally: Tally,
        *,
        leaving: bool = False,
    ) -> None:
        self._settings = settings
        self._password = settings.broker_password
        self._tls = tls.client_context(settings)
        self._intake = intake
        self._tally = tally
        self._leaving = leaving
        self._filters = _filters(router, settings.share_group)
        self._memory = SessionMemory(Path(settings.data_dir), settings.client_id)
        self._had_session = bool(self._memory.filters())
        self._watch = BrokerWatch(tally)
        self._members = Members(settings.client_id, settings.share_group, tally)
        self._unreleased = Unreleased()
        self._connection: Connection | None = None
        self._reading = asyncio.Event()
        self._reading.set()
        self.last_message_s = time.monotonic()
        self.problem: str | None = "not connected yet"

    @property
    def way(self) -> WayName:
        """Which way it is; of the Source protocol."""
        return "mqtt"

    def parts(self) -> dict[str, Coroutine[None, None, None]]:
        """Return what has to run; of the Source protocol."""
        return {"mqtt": self.run(), "members": self.mind_members()}

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        while True:
            # The broker's answers come behind the messages it holds: these need room.
            await self.room()
            began_s = time.monotonic()
            try:
                await self._stay(await self._connect())
            except TimeoutError:
                self._note("the broker did not answer in time")
            except ssl.SSLError as error:
                needs_person = tls.verdict(error) != "unreachable"
                self._note(tls.in_words(error), needs_person=needs_person)
            except (OSError, BrokerRefusal, SettingError) as error:
                self._note(str(error) or type(error).__name__)
            except gmqtt.mqtt.handler.MQTTConnectError as error:
                self._note(f"the broker refuses the connection: {error}")
            # Two clients with one id throw each other out: they must not do so without a pause.
            if time.monotonic() - began_s > _LONGEST_PAUSE_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next_seconds())

    def accept(self, message: Message) -> None:
        """Hand a message on; of the Receiver protocol."""
        self._intake.accept(message)

    def refuse(self, message: Message, reason: str) -> None:
        """Hand on a message that could not be read; of the Receiver protocol."""
        self._intake.refuse(message, reason)

    def count(self, messages: int) -> None:
        """Count messages that were handed on; of the Receiver protocol."""
        self.last_message_s = time.monotonic()
        self._tally.messages_by_way["mqtt"] += messages

    def notice(self, topic: str, payload: bytes) -> None:
        """Take a counter of the broker or a member's status; of the Receiver protocol."""
        if topic in BROKER_TOPICS:
            self._watch.take(topic, payload)
        else:
            self._members.take(topic, payload)

    def has_room(self) -> bool:
        """Tell whether reading may go on; of the Receiver protocol."""
        return self._reading.is_set() and self._intake.has_room()

    async def room(self) -> None:
        """Wait until reading may go on; of the Receiver protocol."""
        await self._reading.wait()
        await self._intake.room()

    async def mind_members(self) -> None:
        """Name those members of the group that are away and have not left, until cancelled."""
        while True:
            self._members.name_orphans()
            await asyncio.sleep(_ORPHAN_LOOK_SECONDS)

    def pause(self) -> None:
        """Take no more messages; those taken can still be acknowledged."""
        self._reading.clear()

    async def disconnect(self) -> None:
        """Say goodbye to the broker, which keeps the session and the subscription."""
        connection = self._connection
        if connection is not None and connection.is_connected:
            self._say(connection, self._members.status("offline"))
            await self._say_goodbye(connection)

    async def is_drained(self) -> bool:
        """Ask the broker whether it has anything left for us; False also where it does not say."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            return False
        try:
            async with asyncio.timeout(self._settings.connect_timeout_seconds):
                return await connection.is_drained()
        except TimeoutError:
            return False

    async def end_session(self) -> bool:
        """Let the broker forget the session and its status; False where there is no connection."""
        connection = self._connection
        if connection is None or not connection.is_connected:
            return False
        self._say(connection, b"")
        await self._say_goodbye(connection, session_expiry_interval=0)
        self._memory.forget()
        return True

    async def _connect(self) -> Connection:
        settings = self._settings
        stays = not self._leaving
        connection = Connection(
            settings.client_id,
            self,
            notices=_NOTICED,
            unreleased=self._unreleased,
            tally=self._tally,
            will=Will(self._members.topic, self._members.status("offline")) if stays else None,
            session_expiry_interval=settings.session_expiry_seconds,
            receive_maximum=settings.receive_maximum,
        )
        connection.set_auth_credentials(settings.username, self._password.reread().value)
        try:
            await connection.handshake(
                self._begin(connection), timeout_seconds=settings.connect_timeout_seconds
            )
        except BaseException:
            connection.drop()
            raise
        if stays:
            self._say(connection, self._members.status("online"))
        self._connection = connection
        self._tally.connects += 1
        self.problem = None
        _logger.info("connected to the broker", client_id=settings.client_id)
        return connection

    async def _begin(self, connection: Connection) -> None:
        settings = self._settings
        await connection.connect(
            settings.broker_host,
            settings.broker_port,
            ssl=self._tls or False,
            keepalive=settings.keepalive_seconds,
        )
        self._note_session(connection)
        await self._settle_subscriptions(connection)

    async def _stay(self, connection: Connection) -> None:
        """Use a connection until it is lost, or silent for too long."""
        lost = asyncio.create_task(connection.lost.wait(), name="connection lost")
        watch = asyncio.create_task(connection.watch(), name="keepalive")
        try:
            await asyncio.wait((lost, watch), return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
            watch.cancel()
            was_silent = not connection.lost.is_set()
            # Also where the broker said DISCONNECT, and left the end to us.
            connection.drop()
        if was_silent:
            self._tally.link_timeouts += 1
            self._note("the broker was silent for 1.5 keepalives")
        elif connection.end_reason == SESSION_TAKEN_OVER:
            self._tally.session_takeovers += 1
            _logger.error("another client uses our client id", client_id=self._settings.client_id)
            self.problem = f"another client uses the client id {self._settings.client_id}"
        else:
            self._note("the connection was lost")

    def _note_session(self, connection: Connection) -> None:
        if connection.session_present:
            return
        self._unreleased.clear()
        if self._had_session:
            self._tally.sessions_lost += 1
            _logger.error("the broker has lost our session: what it held for us is gone")

    async def _settle_subscriptions(self, connection: Connection) -> None:
        """Subscribe to what is wanted; unsubscribe from what the session has beyond that."""
        remembered = self._memory.filters() if connection.session_present else set()
        wanted = set() if self._leaving else set(self._filters)
        # Noted before it is asked for: a crash in between leaves nothing unknown behind.
        self._memory.remember(remembered | wanted)
        unwanted = remembered - wanted
        if self._leaving:
            unwanted |= {*self._filters, *self._notices()}
        await connection.unsubscribe_from(sorted(unwanted))
        if not self._leaving:
            # Retained readings come when the subscription is new, not with every connection.
            refused = await self._refused(connection, self._filters, qos=2, retained_once=True)
            for one, code in refused.items():
                raise BrokerRefusal(f"the broker refuses the subscription {one}: {code:#x}")
            self._members.begin_anew()
            refused = await self._refused(connection, self._notices(), qos=0)
            for one, code in refused.items():
                _logger.warning("the broker keeps this from us", filter=one, code=hex(code))
            self._memory.remember(wanted)
            self._had_session = True

    async def _refused(
        self, connection: Connection, filters: list[str], *, qos: int, retained_once: bool = False
    ) -> dict[str, int]:
        granted = await connection.subscribe_to(filters, qos=qos, retained_once=retained_once)
        if len(granted) != len(filters):
            raise BrokerRefusal(
                f"the broker answers {len(granted)} of {len(filters)} subscriptions"
            )
        codes = zip(filters, granted, strict=True)
        return {one: code for one, code in codes if code >= _REFUSED}

    def _notices(self) -> list[str]:
        return [*BROKER_TOPICS, *([STATUSES] if self._settings.share_group else [])]

    def _say(self, connection: Connection, status: bytes) -> None:
        connection.publish(self._members.topic, status, qos=1, retain=True)

    async def _say_goodbye(self, connection: Connection, **properties: int) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await connection.disconnect(**properties)

    def _note(self, problem: str, *, needs_person: bool = False) -> None:
        if self.problem != problem:
            say = _logger.error if needs_person else _logger.warning
            say("no connection to the broker", problem=problem)
        self.problem = problem


def _filters(router: TopicRouter, share_group: str) -> list[str]:
    shared = f"$share/{share_group}/" if share_group else ""
    return [f"{shared}{template.subscription}" for template in router.templates]
