"""Faults on a reading's way out of the device."""

from random import Random
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from sensors.faults.fault import Chance, Fault, FaultPlan, Seconds
from sensors.message import Message

_MS_PER_SECOND = 1000
_PACKET_BYTES = 60  # what TCP, IP and MQTT add to a payload


class Dropout(Fault):
    """Readings are made and never leave: gaps in the sequence, dropped in the ledger."""

    name: ClassVar[str] = "dropout"

    def __init__(self, chance: float, random: Random) -> None:
        self._chance = chance
        self._random = random

    def withholds(self, time_ms: int) -> bool:  # noqa: ARG002
        """Tell whether the next one stays."""
        return self._random.random() < self._chance


class DropoutPlan(FaultPlan, frozen=True, tag=Dropout.name):
    """`fault = "dropout"`."""

    chance: Chance = 1.0

    def begin(self, random: Random) -> Fault:
        """Return a fault that keeps all, or some by chance."""
        return Dropout(self.chance, random)


class Late(Fault):
    """Readings leave later than they are made, as out of a store-and-forward modem."""

    name: ClassVar[str] = "late"

    def __init__(self, plan: "LatePlan", random: Random) -> None:
        self._plan = plan
        self._random = random

    def send(self, messages: list[Message], now_ms: float) -> bool:  # noqa: ARG002
        """Hold all of them back, or none."""
        if self._random.random() >= self._plan.chance:
            return False
        for message in messages:
            message.delay_ms += self._plan.by_s * _MS_PER_SECOND
        return True


class LatePlan(FaultPlan, frozen=True, tag=Late.name):
    """`fault = "late"`."""

    chance: Chance = 1.0
    by_s: Seconds = 5.0

    def begin(self, random: Random) -> Fault:
        """Return a fault that holds readings back."""
        return Late(self, random)


class OutOfOrder(Fault):
    """Readings leave in another order than they were made in."""

    name: ClassVar[str] = "out-of-order"

    def __init__(self, plan: "OutOfOrderPlan", random: Random) -> None:
        self._plan = plan
        self._random = random

    def send(self, messages: list[Message], now_ms: float) -> bool:  # noqa: ARG002
        """Hold each back for a time by chance."""
        for message in messages:
            message.delay_ms += self._random.uniform(0, self._plan.within_s) * _MS_PER_SECOND
        return True


class OutOfOrderPlan(FaultPlan, frozen=True, tag=OutOfOrder.name):
    """`fault = "out-of-order"`."""

    within_s: Seconds = 5.0

    def begin(self, random: Random) -> Fault:
        """Return a fault that scrambles what is closer together than that."""
        return OutOfOrder(self, random)


class Duplicate(Fault):
    """Some readings leave twice, each time as a message of its own."""

    name: ClassVar[str] = "duplicate"

    def __init__(self, plan: "DuplicatePlan", random: Random) -> None:
        self._plan = plan
        self._random = random

    def send(self, messages: list[Message], now_ms: float) -> bool:  # noqa: ARG002
        """Put a copy behind each, or leave them alone."""
        if self._random.random() >= self._plan.chance:
            return False
        messages += [msgspec.structs.replace(message, copied=True) for message in messages]
        return True


class DuplicatePlan(FaultPlan, frozen=True, tag=Duplicate.name):
    """`fault = "duplicate"`."""

    chance: Chance = 0.2

    def begin(self, random: Random) -> Fault:
        """Return a fault that strikes by chance."""
        return Duplicate(self, random)


class Malformed(Fault):
    """Some payloads are cut off, with a byte behind that is no UTF-8: ingest has to refuse them."""

    name: ClassVar[str] = "malformed"

    def __init__(self, chance: float, random: Random) -> None:
        self._chance = chance
        self._random = random

    def send(self, messages: list[Message], now_ms: float) -> bool:  # noqa: ARG002
        """Spoil all of them, or none."""
        if self._random.random() >= self._chance:
            return False
        for message in messages:
            message.payload = message.payload[: len(message.payload) // 2] + b"\xff"
            message.unwanted = True
        return True


class MalformedPlan(FaultPlan, frozen=True, tag=Malformed.name):
    """`fault = "malformed"`."""

    chance: Chance = 0.2

    def begin(self, random: Random) -> Fault:
        """Return a fault that strikes by chance."""
        return Malformed(self.chance, random)


class SlowLink(Fault):
    """Messages leave one after another, so many bytes a second, and queue behind each other."""

    name: ClassVar[str] = "slow-link"

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._free_ms = 0.0

    def send(self, messages: list[Message], now_ms: float) -> bool:
        """Let each wait until those before it are through, and for its own bytes."""
        for message in messages:
            size = len(message.payload) + len(message.topic) + _PACKET_BYTES
            begin_ms = max(self._free_ms, now_ms)
            self._free_ms = begin_ms + size / self._bytes_per_s * _MS_PER_SECOND
            message.delay_ms += self._free_ms - now_ms
        return True


class SlowLinkPlan(FaultPlan, frozen=True, tag=SlowLink.name):
    """`fault = "slow-link"`."""

    bytes_per_s: Annotated[
        float, Meta(ge=10, le=1e9, description="bytes a second, from 10 to 1000000000")
    ] = 1000.0

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a link with nothing on it."""
        return SlowLink(self.bytes_per_s)
