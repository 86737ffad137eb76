"""A client that stays connected: its outbox, its status, its way back after a lost connection."""

import asyncio
from array import array
from typing import Literal

from sensors.accounting import Accounting
from sensors.backoff import Backoff
from sensors.commands import Command
from sensors.message import Message
from sensors.outbox import PAUSE_SECONDS, Outbox, Outcome
from sensors.uplink import Sender, Shared, Status
from sensors.ways.failures import ConnectFailed
from sensors.ways.mqtt.answers import AnswerKind, outcome
from sensors.ways.mqtt.asides import LAST_ID, OFFLINE_ID, ONLINE_ID, Asides, Reply
from sensors.ways.mqtt.client import SUBSCRIBE_ID, Will
from sensors.ways.mqtt.dialler import Dialler
from sensors.ways.mqtt.link import Link
from sensors.ways.mqtt.manner import USUAL, Manner

_RETRY_SECONDS = PAUSE_SECONDS + 0.01  # uvloop's timers may be a millisecond early


class MqttUplink:
    """One device's way to the broker."""

    __slots__ = (
        "_accounting", "_asides", "_backoff", "_dialler", "_leaving", "_link", "_manner",
        "_offline_said", "_offline_sent", "_outbox", "_password", "_restarting", "_retry",
        "_sender", "_shared", "_status",
    )  # fmt: skip

    def __init__(
        self,
        sender: Sender,
        password: str,
        dialler: Dialler,
        shared: Shared,
        manner: Manner = USUAL,
    ) -> None:
        self._sender = sender
        self._password = password
        self._dialler = dialler
        self._shared = shared
        self._accounting = Accounting(sender.name, sender.qos, shared)
        self._status = sender.status
        self._manner = manner
        self._outbox = Outbox(shared.outbox_readings, shared.keeping)
        self._link: Link | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._leaving = False
        self._offline_said: asyncio.Event | None = None
        self._offline_sent = False
        self._restarting = False
        self._backoff = Backoff()
        self._asides = Asides()

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._link is not None

    @property
    def in_flight(self) -> int:
        """How many messages wait for their acknowledgement."""
        return self._outbox.in_flight

    @property
    def unfinished(self) -> int:
        """How many messages wait in the outbox or for their acknowledgement."""
        return len(self._outbox)

    @property
    def unfinished_readings(self) -> int:
        """How many readings are in them."""
        return self._outbox.readings

    def take_over(self, numbers: "array[int]") -> None:
        """Take what an earlier process left on disk for this device, before all that is new."""
        self._outbox.take_over(numbers)
        self._accounting.taken_over(len(numbers))

    def forget(self, last: int) -> None:
        """Drop what waits up to a number of the journal, whose room is needed."""
        for message in self._outbox.forget(last):
            self._accounting.dropped(message, "outbox_full")

    async def keep_connected(self) -> None:
        """Connect, and connect again whenever that is lost; until it leaves or is cancelled."""
        while not self._leaving:
            try:
                link = await self._open()
            except ConnectFailed as failure:
                self._failed(failure)
                self._backoff.failed()
            else:
                self._backoff.lost(await self._stay(link))
            if not self._leaving:
                await asyncio.sleep(self._backoff.next_wait_seconds())

    def publish(self, message: Message) -> None:
        """Send a reading, or keep it until it can be sent."""
        if self._sender.qos == 0:
            self._publish_once(message)
            return
        self._accounting.overflowed(self._outbox.add(message))
        self._pump()

    def restart(self, status: Status | None) -> None:
        """Break off without a word and come back with another status, as a device does that boots.

        What waits in the outbox stays there.
        """
        self._status = status
        if self._link is not None:
            self._restarting = True
            self._link.abort()

    def break_off(self, away_seconds: float) -> None:
        """Break the connection without a word, and come back after so long, without a spread."""
        self._backoff.stay_away(away_seconds)
        if self._link is not None:
            self._link.abort()

    async def leave(self) -> None:
        """Say offline and disconnect; a device without connection has its last will for that.

        No further reading leaves; what is in flight may still be answered meanwhile.
        """
        self._leaving = True
        link = self._link
        if link is None:
            return
        if self._status is not None:
            self._offline_said = asyncio.Event()
            self._pump()
            await self._offline_said.wait()
        link.disconnect()

    async def _open(self) -> Link:
        status = self._status
        will = None if status is None else Will(status.topic, status.payload("offline"))
        dialler, commands = self._dialler, self._sender.commands
        link = await dialler.open(
            self._sender.name,
            self._password,
            self._answered,
            will,
            commands=None if commands is None else commands.topics,
            on_command=None if commands is None else self._commanded,
            manner=self._manner,
        )
        if link.max_qos < self._sender.qos:
            dialler.close(link)
            raise ConnectFailed("refused", f"the broker takes QoS {link.max_qos} at most")
        return link

    async def _stay(self, link: Link) -> float:
        """Use a connection until it is lost; return for how many seconds it lasted."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._came(link)
        try:
            why = await link.lost
        finally:
            self._went(link)
        if self._restarting:
            self._restarting = False
        elif not self._leaving:
            self._shared.counters.lost_connections += 1
            self._shared.log.warning("connection lost", device=self._sender.name, why=why)
        return loop.time() - begun

    def _came(self, link: Link) -> None:
        self._link = link
        self._shared.counters.connects += 1
        self._shared.counters.connected += 1
        # Before it says that it is online: who sees that may tell it something at once.
        link.take_commands()
        self._say(link, ONLINE_ID, "online")
        self._pump()

    def _went(self, link: Link) -> None:
        self._link = None
        for reply in self._asides.connection_lost():
            if reply.then is not None:
                reply.then()
        self._shared.counters.connected -= 1
        if self._retry is not None:
            self._retry.cancel()
        self._outbox.connection_lost()
        self._dialler.close(link)
        if self._offline_said is not None:
            self._offline_said.set()

    def _failed(self, failure: ConnectFailed) -> None:
        self._shared.counters.connect_failures[failure.reason] += 1
        needs_person = failure.reason in ("refused", "untrusted")
        say = self._shared.log.error if needs_person else self._shared.log.warning
        say("cannot connect", device=self._sender.name, why=str(failure))

    def _publish_once(self, message: Message) -> None:
        link = self._link
        if link is None or not link.alive:
            self._accounting.dropped(message, "not_connected")
        elif link.congested:
            self._accounting.dropped(message, "congested")
        elif not link.fits(message.topic, message.payload):
            self._accounting.refused(message, "larger than the broker's maximum packet size")
        elif link.publish(0, message.topic, message.payload, 0):
            self._accounting.sent(message)
        else:
            self._accounting.dropped(message, "not_connected")

    def _pump(self) -> None:
        link = self._link
        if link is None:
            return
        # Statuses, answers and readings share the broker's Receive Maximum (MQTT 5, 4.9).
        if self._asides.any_waits:
            self._send_replies(link)
        window = link.window - self._asides.in_flight
        if self._leaving:
            self._say_offline(link, window)
            return
        now_s = asyncio.get_running_loop().time()
        while link.alive:
            entry = self._outbox.next_to_send(now_s, window)
            if entry is None:
                return
            packet_id, message = entry
            if not link.fits(message.topic, message.payload):
                self._outbox.discard(packet_id)
                self._accounting.refused(message, "larger than the broker's maximum packet size")
            elif link.publish(packet_id, message.topic, message.payload, self._sender.qos):
                self._accounting.sent(message)

    def _say(self, link: Link, packet_id: int, state: Literal["online", "offline"]) -> None:
        if self._status is None:
            return
        topic, payload = self._status.topic.encode(), self._status.payload(state)
        if link.send(packet_id, topic, payload, qos=1, retain=True):
            self._asides.sent_status(packet_id)

    def _say_offline(self, link: Link, window: int) -> None:
        if not self._offline_sent and self._outbox.in_flight < window:
            self._offline_sent = True
            self._say(link, OFFLINE_ID, "offline")

    def _answered(self, kind: AnswerKind, packet_id: int, reason: int) -> None:
        if self._link is None:
            return
        if packet_id <= LAST_ID:
            self._aside_answered(packet_id, reason)
            self._pump()
            return
        now_s = asyncio.get_running_loop().time()
        meant = outcome(kind, reason)
        message = self._outbox.answered(packet_id, meant, now_s)
        if message is None or meant is Outcome.ONGOING:
            return
        if meant is Outcome.ACKNOWLEDGED:
            self._accounting.acknowledged(message)
        elif meant is Outcome.REFUSED:
            self._accounting.refused(message, f"{kind} {reason:#04x}")
        else:
            self._keep(f"{kind} {reason:#04x}")
        self._pump()

    def _aside_answered(self, packet_id: int, reason: int) -> None:
        reply = self._asides.answered(packet_id)
        if reason >= 0x80:
            what = "commands" if packet_id == SUBSCRIBE_ID else "answer" if reply else "status"
            self._shared.log.error(
                f"{what} refused", device=self._sender.name, why=f"{reason:#04x}"
            )
        if reply is not None and reply.then is not None:
            reply.then()
        if packet_id == OFFLINE_ID and self._offline_said is not None:
            self._offline_said.set()

    def _commanded(self, command: Command) -> None:
        commands, counters = self._sender.commands, self._shared.counters
        if commands is None or self._link is None or self._leaving:
            return
        if not commands.answers_at(command.reply_to) or self._asides.full:
            counters.ignored_commands += 1
            self._shared.log.warning(
                "command ignored", device=self._sender.name, topic=command.topic
            )
            return
        assert command.reply_to is not None
        counters.commands += 1
        payload, then = commands.answer(command)
        self._asides.add(Reply(command.reply_to.encode(), payload, command.correlation, then))
        self._pump()

    def _send_replies(self, link: Link) -> None:
        while self._outbox.in_flight + self._asides.in_flight < link.window:
            entry = self._asides.next_reply()
            if entry is None:
                return
            packet_id, reply = entry
            link.reply(packet_id, reply.topic, reply.payload, reply.correlation)

    def _keep(self, why: str) -> None:
        self._shared.counters.kept += 1
        self._shared.log.warning("readings are kept for later", device=self._sender.name, why=why)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._pump)
