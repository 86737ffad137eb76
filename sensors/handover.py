"""From what is due to the devices' connections: readings, the ledger, the journal, and faults.

The journal and the ledger come first, and are handed to the system once for all that is due
together: what is not in them was never sent. The journal comes before the ledger, so that what was
offered is on disk.
"""

import asyncio

from sensors.counters import Counters
from sensors.keeping import Keeping
from sensors.ledgers import AnyLedger
from sensors.member import Member
from sensors.message import Message
from sensors.schedule import Clock
from telemetry.rarelog import RareLog

_MS_PER_SECOND = 1000

Made = list[tuple[Member, Message]]


class Handover:
    """Makes the readings of devices that are due, and hands them to their uplinks."""

    def __init__(
        self,
        members: list[Member],
        counters: Counters,
        ledger: AnyLedger,
        keeping: Keeping | None,
        clock: Clock,
        log: RareLog,
    ) -> None:
        self._members = members
        self._counters = counters
        self._ledger = ledger
        self._keeping = keeping
        self._clock = clock
        self._log = log
        # What a fault holds back, by the order of its coming.
        self._held: dict[int, tuple[asyncio.TimerHandle, Member, Message]] = {}
        self._next_held = 0

    @property
    def held(self) -> list[int]:
        """How many readings faults hold back, by QoS."""
        counts = [0, 0, 0]
        for _, member, message in self._held.values():
            counts[member.qos] += 1 + len(message.others)
        return counts

    def offer(self, due: list[tuple[int, int]]) -> None:
        """Make and hand over the readings of those devices (their places and due times)."""
        members, offered = self._members, self._counters.offered
        made: Made = []
        for place, due_ms in due:
            member = members[place]
            if member.asleep:
                continue
            for message in member.readings(due_ms):
                member.ledger.offered(
                    member.session, message.seq, message.time_ms, message.measurement
                )
                offered[member.qos] += 1
                if message.faults and self._stays(member, message):
                    continue
                ready = message if member.packer is None else member.packer.add(message)
                if ready is None:
                    continue
                if member.faults:
                    made += [(member, one) for one in self._afflicted(member, ready)]
                else:
                    made.append((member, ready))
        self._hand_over(made)

    def finish(self) -> None:
        """Hand over what packs and faults still hold."""
        held = [self._held[number] for number in sorted(self._held)]
        self._held.clear()
        for timer, member, message in held:
            timer.cancel()
            member.uplink.publish(message)
        self._hand_over(
            [
                (member, message)
                for member in self._members
                if member.packer is not None
                for message in member.packer.rest()
            ]
        )

    def _hand_over(self, made: Made) -> None:
        if self._keeping is not None:
            waiting = ((member.qos, message) for member, message in made if member.qos)
            self._keeping.write(waiting, self._forget_through)
        self._ledger.flush()
        record_lateness, now_ms = self._counters.lateness.record, self._clock.now_ms
        for member, message in made:
            record_lateness(now_ms() - message.due_ms)
            if message.delay_ms:
                self._hold(member, message)
            else:
                member.uplink.publish(message)

    def _hold(self, member: Member, message: Message) -> None:
        number = self._next_held
        self._next_held += 1
        timer = asyncio.get_running_loop().call_later(
            message.delay_ms / _MS_PER_SECOND, self._let_go, number
        )
        self._held[number] = timer, member, message

    def _let_go(self, number: int) -> None:
        _, member, message = self._held.pop(number)
        member.uplink.publish(message)

    def _stays(self, member: Member, message: Message) -> bool:
        """Tell the ledger of a reading's faults; True where it stays with the device for good."""
        for name in message.faults:
            member.ledger.fault(member.session, message.seq, name)
        if message.unwanted:
            member.ledger.unwanted(member.session, message.seq)
        if message.withheld:
            self._counters.dropped["fault"][member.qos] += 1
            member.ledger.dropped(member.session, message.seq)
        return message.withheld

    def _afflicted(self, member: Member, message: Message) -> list[Message]:
        """Return what leaves in place of a message, and tell the ledger why."""
        messages = [message]
        names = [
            name
            for name, fault in member.faults.items()
            if fault.send(messages, self._clock.now_ms())
        ]
        seqs = (*message.others, message.seq)
        for seq in seqs:
            for name in names:
                member.ledger.fault(member.session, seq, name)
            if message.unwanted:
                member.ledger.unwanted(member.session, seq)
        self._counters.copies[member.qos] += (len(messages) - 1) * len(seqs)
        return messages

    def _forget_through(self, last: int) -> None:
        for member in self._members:
            member.uplink.forget(last)
        self._log.error("the outbox's disk is full, its oldest readings were dropped")
