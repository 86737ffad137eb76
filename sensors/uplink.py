"""A client that stays connected: its outbox, its status, its way back after a lost connection."""

import asyncio
import time
from array import array
from random import Random
from typing import Literal

from msgspec import Struct

from sensors.asides import LAST_ID, OFFLINE_ID, ONLINE_ID, Asides, Commands, Reply, Status
from sensors.client import SUBSCRIBE_ID, Will
from sensors.commands import Command
from sensors.counters import Counters, DropReason
from sensors.dialler import Dialler
from sensors.fleetfile import QoS
from sensors.keeping import Keeping
from sensors.ledgers import AnyLedger
from sensors.link import ConnectFailed, Link
from sensors.manner import USUAL, Manner
from sensors.message import Message
from sensors.outbox import PAUSE_SECONDS, AnswerKind, Outbox, Outcome
from telemetry.rarelog import RareLog

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
_STEADY_SECONDS = 5.0
_MS_PER_SECOND = 1000
_RETRY_SECONDS = PAUSE_SECONDS + 0.01  # uvloop's timers may be a millisecond early
_chance = Random()  # noqa: S311  spreads reconnects, not secret


def wait_seconds(failures: int) -> float:
    """Return how long to wait before the next try: doubling, capped, and spread by chance."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures, 16))
    return _chance.uniform(longest / 2, longest)


class Shared(Struct, frozen=True):
    """What all uplinks of a process have in common."""

    dialler: Dialler
    counters: Counters
    log: RareLog
    ledger: AnyLedger
    outbox_readings: int
    keeping: Keeping | None = None


class Uplink:
    """One device's way to the broker.

    At QoS 0 a reading is sent or dropped, at QoS 1 and 2 it goes through the outbox; the ledger is
    told of each that ends as acknowledged, refused or dropped.
    """

    __slots__ = (
        "_asides", "_away_seconds", "_commands", "_leaving", "_link", "_manner", "_name",
        "_offline_said", "_offline_sent", "_outbox", "_password", "_qos", "_restarting",
        "_retry", "_shared", "_status",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        password: str,
        qos: QoS,
        shared: Shared,
        status: Status | None = None,
        commands: Commands | None = None,
        manner: Manner = USUAL,
    ) -> None:
        self._name = name
        self._password = password
        self._qos = qos
        self._shared = shared
        self._status = status
        self._commands = commands
        self._manner = manner
        self._outbox = Outbox(shared.outbox_readings, shared.keeping)
        self._link: Link | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._leaving = False
        self._offline_said: asyncio.Event | None = None
        self._offline_sent = False
        self._restarting = False
        self._away_seconds: float | None = None
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
        self._shared.counters.taken_over[self._qos] += len(numbers)

    def forget(self, last: int) -> None:
        """Drop what waits up to a number of the journal, whose room is needed."""
        for message in self._outbox.forget(last):
            self._drop(message, "outbox_full")

    async def keep_connected(self) -> None:
        """Connect, and connect again whenever that is lost; until it leaves or is cancelled."""
        failures = 0
        while not self._leaving:
            try:
                link = await self._open()
            except ConnectFailed as failure:
                self._failed(failure)
                failures += 1
            else:
                steady = await self._stay(link)
                failures = 0 if steady else failures + 1
            if not self._leaving:
                await asyncio.sleep(self._next_wait_seconds(failures))

    def publish(self, message: Message) -> None:
        """Send a reading, or keep it until it can be sent."""
        if self._qos == 0:
            self._publish_once(message)
            return
        dropped = self._outbox.add(message)
        if dropped is not None:
            self._drop(dropped, "outbox_full")
            self._shared.log.error(
                "outbox full, oldest reading dropped", device=self._name, seq=dropped.seq
            )
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
        self._away_seconds = away_seconds
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

    def _next_wait_seconds(self, failures: int) -> float:
        away_seconds, self._away_seconds = self._away_seconds, None
        return wait_seconds(failures) if away_seconds is None else away_seconds

    async def _open(self) -> Link:
        status = self._status
        will = None if status is None else Will(status.topic, status.payload("offline"))
        dialler, commands = self._shared.dialler, self._commands
        link = await dialler.open(
            self._name,
            self._password,
            self._answered,
            will,
            commands=None if commands is None else commands.topics,
            on_command=None if commands is None else self._commanded,
            manner=self._manner,
        )
        if link.max_qos < self._qos:
            dialler.close(link)
            raise ConnectFailed("refused", f"the broker takes QoS {link.max_qos} at most")
        return link

    async def _stay(self, link: Link) -> bool:
        """Use a connection until it is lost; tell whether it lasted."""
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
            self._shared.log.warning("connection lost", device=self._name, why=why)
        return loop.time() - begun >= _STEADY_SECONDS

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
        self._shared.dialler.close(link)
        if self._offline_said is not None:
            self._offline_said.set()

    def _failed(self, failure: ConnectFailed) -> None:
        self._shared.counters.connect_failures[failure.reason] += 1
        needs_person = failure.reason in ("refused", "untrusted")
        say = self._shared.log.error if needs_person else self._shared.log.warning
        say("cannot connect", device=self._name, why=str(failure))

    def _publish_once(self, message: Message) -> None:
        counters, link = self._shared.counters, self._link
        if link is None or not link.alive:
            self._drop(message, "not_connected")
        elif link.congested:
            self._drop(message, "congested")
        elif not link.fits(message.topic, message.payload):
            self._refuse(message, "larger than the broker's maximum packet size")
        elif link.publish(0, message.topic, message.payload, 0):
            counters.published[0] += 1 + len(message.others)
        else:
            self._drop(message, "not_connected")

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
                self._refuse(message, "larger than the broker's maximum packet size")
            elif link.publish(packet_id, message.topic, message.payload, self._qos):
                self._count_sent(message)

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

    def _count_sent(self, message: Message) -> None:
        counters = self._shared.counters
        counts = counters.republished if message.sent else counters.published
        counts[self._qos] += 1 + len(message.others)
        message.sent = True
        message.sent_s = time.monotonic()

    def _answered(self, kind: AnswerKind, packet_id: int, reason: int) -> None:
        if self._link is None:
            return
        if packet_id <= LAST_ID:
            self._aside_answered(packet_id, reason)
            self._pump()
            return
        now_s = asyncio.get_running_loop().time()
        outcome, message = self._outbox.answered(kind, packet_id, reason, now_s)
        if message is None or outcome is Outcome.ONGOING:
            return
        if outcome is Outcome.ACKNOWLEDGED:
            self._acknowledged(message)
        elif outcome is Outcome.REFUSED:
            self._refuse(message, f"{kind} {reason:#04x}")
        else:
            self._keep(f"{kind} {reason:#04x}")
        self._pump()

    def _aside_answered(self, packet_id: int, reason: int) -> None:
        reply = self._asides.answered(packet_id)
        if reason >= 0x80:
            what = "commands" if packet_id == SUBSCRIBE_ID else "answer" if reply else "status"
            self._shared.log.error(f"{what} refused", device=self._name, why=f"{reason:#04x}")
        if reply is not None and reply.then is not None:
            reply.then()
        if packet_id == OFFLINE_ID and self._offline_said is not None:
            self._offline_said.set()

    def _commanded(self, command: Command) -> None:
        commands, counters = self._commands, self._shared.counters
        if commands is None or self._link is None or self._leaving:
            return
        if not commands.answers_at(command.reply_to) or self._asides.full:
            counters.ignored_commands += 1
            self._shared.log.warning("command ignored", device=self._name, topic=command.topic)
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

    def _acknowledged(self, message: Message) -> None:
        ledger, counters = self._shared.ledger, self._shared.counters
        counters.acknowledged[self._qos] += 1 + len(message.others)
        waited_s = time.monotonic() - message.sent_s
        counters.acknowledgements[self._qos].record(waited_s * _MS_PER_SECOND)
        ledger.acknowledged(message.session, message.seq)
        for seq in message.others:
            ledger.acknowledged(message.session, seq)
        self._settle(message)

    def _settle(self, message: Message) -> None:
        if self._qos and self._shared.keeping is not None:
            self._shared.keeping.settle(message)

    def _drop(self, message: Message, reason: DropReason) -> None:
        self._shared.counters.dropped[reason][self._qos] += 1 + len(message.others)
        for seq in (*message.others, message.seq):
            self._shared.ledger.dropped(message.session, seq)
        self._settle(message)

    def _refuse(self, message: Message, why: str) -> None:
        self._shared.counters.refused[self._qos] += 1 + len(message.others)
        for seq in (*message.others, message.seq):
            self._shared.ledger.refused(message.session, seq)
        self._settle(message)
        self._shared.log.error(
            "reading refused", device=self._name, topic=message.topic.decode(), why=why
        )

    def _keep(self, why: str) -> None:
        self._shared.counters.kept += 1
        self._shared.log.warning("readings are kept for later", device=self._name, why=why)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._pump)
