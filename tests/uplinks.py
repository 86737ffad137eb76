"""One device with an uplink, in this process, and what its ledger was told."""

import asyncio
from array import array
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from sensors.counters import Counters
from sensors.fleetfile import QoS
from sensors.habits import PLAIN, Habits
from sensors.keeping import Keeping
from sensors.ledgers import NoLedger
from sensors.message import Message
from sensors.uplink import Sender, Shared, Uplink
from sensors.ways.carrier import Carrier, Opening
from sensors.ways.channel import Channel
from sensors.ways.uplink import ChannelUplink
from telemetry import log
from telemetry.rarelog import RareLog


class Noted(NoLedger):
    """Keeps in memory what a ledger would be told."""

    def __init__(self) -> None:
        self.acknowledged_seqs: list[int] = []
        self.refused_seqs: list[int] = []
        self.dropped_seqs: list[int] = []

    def acknowledged(self, session: int, seq: int) -> None:  # noqa: ARG002
        self.acknowledged_seqs.append(seq)

    def refused(self, session: int, seq: int) -> None:  # noqa: ARG002
        self.refused_seqs.append(seq)

    def dropped(self, session: int, seq: int) -> None:  # noqa: ARG002
        self.dropped_seqs.append(seq)


class Publisher:
    """A device's uplink, what publishes through it, and what became of that."""

    def __init__(
        self, uplink: Uplink, counters: Counters, noted: Noted, keeping: Keeping | None = None
    ) -> None:
        self.uplink = uplink
        self.counters = counters
        self.acknowledged = noted.acknowledged_seqs
        self.refused = noted.refused_seqs
        self.dropped = noted.dropped_seqs
        self.topic = "telemetry/home/a/m"
        self._keeping = keeping
        self._seq = 0

    def publish(
        self, *, topic: str | None = None, payload: bytes = b'{"x": 1}', readings: int = 1
    ) -> int:
        """Publish a message of so many readings; return the seq of its last one."""
        others = tuple(range(self._seq, self._seq + readings - 1))
        seq = self._seq + readings - 1
        self._seq = seq + 1
        of_topic = (topic or self.topic).encode()
        message = Message(seq, 0, 0, "m", of_topic, payload, 0, seq, others=others)
        if self._keeping is not None:
            self._keeping.write([(1, message)], self.uplink.forget)
        self.uplink.publish(message)
        return seq


def shared(
    counters: Counters, noted: Noted, outbox_readings: int = 1000, keeping: Keeping | None = None
) -> Shared:
    return Shared(counters, RareLog(log.get("test")), noted, outbox_readings, keeping)


def carrier_of(channel: Channel, counters: Counters, *, timeout_seconds: float = 2.0) -> Carrier:
    opening = Opening(timeout_seconds, asyncio.Semaphore(4))
    return Carrier("a", channel, opening, counters, RareLog(log.get("test")))


@asynccontextmanager
async def publishing(
    channel: Channel,
    qos: QoS = 1,
    *,
    name: str = "a",
    carrier: Carrier | None = None,
    habits: Habits = PLAIN,
    outbox_readings: int = 1000,
    keeping: Keeping | None = None,
    timeout_seconds: float = 2.0,
) -> AsyncIterator[Publisher]:
    """Keep a device at home connected over a channel, or over a carrier that others share."""
    counters, noted = Counters(), Noted()
    carrier = carrier or carrier_of(channel, counters, timeout_seconds=timeout_seconds)
    of_device = shared(counters, noted, outbox_readings, keeping)
    uplink = ChannelUplink(Sender(name, "home", qos, habits), carrier, of_device)
    if keeping is not None:
        uplink.take_over(keeping.left().get(name, array("Q")))
    async with in_background(uplink.keep_connected()):
        yield Publisher(uplink, counters, noted, keeping)


@asynccontextmanager
async def in_background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
