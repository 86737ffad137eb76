"""The outboxes' part on disk: written before readings are published, read again where they spill.

It knows the journal, and makes messages of what stands there: also of the readings of earlier boots
that a process left behind, which then take part in this process's ledger.
"""

import asyncio
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path

from sensors.counters import Counters
from sensors.fleet import Fleet
from sensors.fleetfile import FleetError
from sensors.habits import PLAIN
from sensors.journal import Journal, sync
from sensors.ledgers import AnyLedger
from sensors.message import Message
from sensors.outbox import Outbox
from sensors.segment import Record
from sensors.settings import SensorsSettings
from telemetry.payload.native import decode_native
from telemetry.rarelog import RareLog
from telemetry.reading import Address
from telemetry.topics import READINGS, TopicTemplate

_SETTLE_SECONDS = 0.1
_MS_PER_SECOND = 1000
_TOPICS = TopicTemplate.parse(READINGS)

ForgetThrough = Callable[[int], None]


class Keeping:
    """Keeps a process's waiting readings at QoS 1 and 2; it is the spill of all its outboxes."""

    def __init__(
        self, journal: Journal, boot_ms: int, ledger: AnyLedger, counters: Counters, log: RareLog
    ) -> None:
        self._journal = journal
        self._boot_ms = boot_ms
        self._ledger = ledger
        self._counters = counters
        self._log = log
        self._sessions: dict[tuple[str, int], int] = {}
        self._own_sessions: set[int] = set()
        # Readings of devices that are not in this fleet, or are at QoS 0 in it: they stay there.
        self._absent = {qos: Outbox(1, self) for qos in (1, 2)}

    @property
    def readings(self) -> int:
        """How many readings are on disk."""
        return self._journal.readings

    @property
    def disk_bytes(self) -> int:
        """How much of the disk they take."""
        return self._journal.disk_bytes

    def left(self) -> dict[str, "array[int]"]:
        """Return what earlier processes left, ascending, by the devices' names."""
        found: dict[str, array[int]] = {}
        for (_, topic), numbers in self._journal.left.items():
            found.setdefault(_address(topic).device, array("Q")).extend(numbers)
        return {device: array("Q", sorted(numbers)) for device, numbers in found.items()}

    def leave_alone(self, devices: Iterable[str]) -> int:
        """Keep what these devices left where it is, for a later process; return how much that is.

        It counts against the budget all the same.
        """
        devices = set(devices)
        for (qos, topic), numbers in sorted(self._journal.left.items()):
            if _address(topic).device in devices:
                self._absent[qos].take_over(numbers)
        return sum(len(outbox) for outbox in self._absent.values())

    def know_session(self, device: str, boot_ms: int, session: int) -> None:
        """Learn which session of the ledger a boot of this process's devices is."""
        self._sessions[device, boot_ms] = session
        self._own_sessions.add(session)

    def write(self, readings: Iterable[tuple[int, Message]], forget_through: ForgetThrough) -> None:
        """Write readings, each with its QoS, before they are published; it numbers them.

        Where the budget is used up `forget_through` is called with the number up to which outboxes
        have to give readings up. What the disk refuses is in memory alone.
        """
        for qos, message in readings:
            message.number = self._journal.append(qos, message.topic, message.payload)
        while self._journal.lacks_room:
            last = self._journal.oldest_through
            forget_through(last)
            self._forget_absent(last)
            self._journal.drop_through(last)
        try:
            self._journal.flush()
        except OSError as error:
            self._refused(error)

    def holds(self, message: Message) -> bool:
        """Tell whether a reading is on disk."""
        return self._journal.holds(message.number)

    def fetch(self, numbers: "array[int]") -> list[Message]:
        """Return readings from the disk, those of earlier boots offered to the ledger as well."""
        messages = []
        try:
            for record in self._journal.read(numbers):
                messages.append(self._message(record))
        except OSError as error:
            self._refused(error)
        unreadable = len(numbers) - len(messages)
        if unreadable:
            self._counters.unreadable += unreadable
            self._log.error("readings in the outbox cannot be read", readings=unreadable)
        self._ledger.flush()
        return messages

    def settle(self, message: Message) -> None:
        """Let go of a reading that was acknowledged, refused or dropped."""
        self._journal.settle(message.number)

    async def keep(self, sync_interval_ms: int) -> None:
        """Write down what is settled, and sync, each at its interval, until cancelled."""
        loop = asyncio.get_running_loop()
        synced_at = loop.time()
        while True:
            await asyncio.sleep(_SETTLE_SECONDS)
            try:
                self._journal.write_settled()
                if (
                    sync_interval_ms
                    and loop.time() - synced_at >= sync_interval_ms / _MS_PER_SECOND
                ):
                    synced_at = loop.time()
                    await asyncio.to_thread(sync, self._journal.unsynced())
            except OSError as error:
                self._refused(error)

    def close(self) -> None:
        """Write down and sync what is left."""
        try:
            self._journal.close()
        except OSError as error:
            self._refused(error)

    def _forget_absent(self, last: int) -> None:
        for qos, outbox in self._absent.items():
            for message in outbox.forget(last):
                self._counters.dropped["outbox_full"][qos] += 1
                self._ledger.dropped(message.session, message.seq)

    def _message(self, record: Record) -> Message:
        address = _address(record.topic)
        (reading,) = decode_native(record.payload, address, 0).readings
        assert reading.boot_ms is not None
        assert reading.seq is not None
        session = self._session(address, reading.boot_ms, record.qos)
        earlier = reading.boot_ms != self._boot_ms and session not in self._own_sessions
        if earlier:
            self._ledger.offered(session, reading.seq, reading.time_ms, reading.measurement)
        return Message(
            reading.seq,
            reading.time_ms,
            reading.time_ms,
            reading.measurement,
            record.topic,
            record.payload,
            session,
            record.number,
            sent=earlier,  # as far as anybody knows: it counts as published once more
        )

    def _session(self, address: Address, boot_ms: int, qos: int) -> int:
        key = (address.device, boot_ms)
        if key not in self._sessions:
            self._sessions[key] = self._ledger.open_session(
                site=address.site, device=address.device, boot_ms=boot_ms, qos=qos
            )
        return self._sessions[key]

    def _refused(self, error: OSError) -> None:
        self._counters.disk_failures += 1
        self._log.error("the outbox's disk refuses", why=error.strerror or str(error))


def open_journal(settings: SensorsSettings) -> Journal | None:
    """Open the process's journal, None where none is asked for; OSError where it is refused."""
    if not settings.outbox_dir:
        return None
    folder = Path(settings.outbox_dir) / settings.client_id
    return Journal(folder, settings.outbox_bytes, synced=settings.outbox_sync_interval_ms > 0)


def check_kept(fleet: Fleet) -> None:
    """Raise FleetError where the outbox on disk could not read again what it would have to keep."""
    for device in fleet.devices:
        habits = device.habits
        if (habits.format, habits.pack, habits.topic) != ("native", 1, PLAIN.topic):
            raise FleetError(
                f"{device.name}: the outbox on disk (SENSORS_OUTBOX_DIR) keeps native readings on "
                "the usual topics, not packs, other formats or other topics"
            )


def _address(topic: bytes) -> Address:
    address = _TOPICS.match(topic.decode())
    assert address is not None, topic
    return address
