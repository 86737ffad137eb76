"""A device's way out, whatever carries it: what the rest of a fleet knows of it, and gives it."""

from array import array
from collections.abc import Callable
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from sensors.commands import Command, replies_under
from sensors.counters import Counters
from sensors.fleetfile import QoS
from sensors.habits import PLAIN, Habits
from sensors.keeping import Keeping
from sensors.ledgers import AnyLedger
from sensors.message import Message
from telemetry.rarelog import RareLog

Then = Callable[[], None]


class Status(Struct, frozen=True):
    """What a device says of itself, retained, on its status topic."""

    topic: str
    qos: QoS
    boot_ms: int
    profile: str

    def payload(self, state: Literal["online", "offline"]) -> bytes:
        """Return the JSON for a state."""
        said = {"state": state, "qos": self.qos, "boot": self.boot_ms, "profile": self.profile}
        return msgspec.json.encode(said)


class Commands(Struct, frozen=True):
    """The commands of a device: their topics' filter, and what answers them."""

    site: str
    device: str
    answer: Callable[[Command], tuple[bytes, Then | None]]

    @property
    def topics(self) -> str:
        """The topic filter of the device's commands."""
        return f"command/{self.site}/{self.device}/#"

    def answers_at(self, topic: str | None) -> bool:
        """Tell whether a topic is one under which this device may answer."""
        begins = replies_under(self.site, self.device)
        return topic is not None and topic.startswith(begins) and not set(topic) & set("+#\0")


class Sender(Struct, frozen=True):
    """Whom an uplink is for; statuses and commands travel over MQTT alone."""

    name: str
    site: str
    qos: QoS
    habits: Habits = PLAIN
    status: Status | None = None
    commands: Commands | None = None


class Shared(Struct, frozen=True):
    """What the uplinks of a process have in common: where they count, and what they keep."""

    counters: Counters
    log: RareLog
    ledger: AnyLedger
    outbox_readings: int
    keeping: Keeping | None = None


class Uplink(Protocol):
    """One device's way out.

    At QoS 0 a reading is sent or dropped, at QoS 1 and 2 it goes through an outbox; the ledger is
    told of each that ends as acknowledged, refused or dropped.
    """

    @property
    def connected(self) -> bool:
        """Whether readings can leave."""
        ...

    @property
    def in_flight(self) -> int:
        """How many messages wait for their acknowledgement."""
        ...

    @property
    def unfinished(self) -> int:
        """How many messages wait to be sent or for their acknowledgement."""
        ...

    @property
    def unfinished_readings(self) -> int:
        """How many readings are in them."""
        ...

    def take_over(self, numbers: "array[int]") -> None:
        """Take what an earlier process left on disk for this device, before all that is new."""
        ...

    def forget(self, last: int) -> None:
        """Drop what waits up to a number of the journal, whose room is needed."""
        ...

    async def keep_connected(self) -> None:
        """Connect, and connect again whenever that is lost; until it leaves or is cancelled."""
        ...

    def publish(self, message: Message) -> None:
        """Send a reading, or keep it until it can be sent."""
        ...

    def restart(self, status: Status | None) -> None:
        """Break off without a word and come back with another status, as a device does that boots.

        What waits in the outbox stays there.
        """
        ...

    def break_off(self, away_seconds: float) -> None:
        """Break the connection without a word, and come back after so long, without a spread."""
        ...

    async def leave(self) -> None:
        """Say goodbye where that means something, and disconnect; no further reading leaves."""
        ...


class Way(Protocol):
    """How the devices of a process reach ingest; it makes their uplinks."""

    def uplink(self, sender: Sender, shared: Shared) -> Uplink:
        """Return the uplink of a device; it does nothing until it is told to keep connected."""
        ...

    async def keep(self) -> None:
        """Do what all connections together need, until cancelled."""
        ...
