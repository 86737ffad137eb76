"""A device at work: its readings, its way out, its faults, and what it can be told."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from msgspec import Struct

from sensors.commands import Command, Refused, obey
from sensors.faults.fault import Fault
from sensors.faults.kinds import PLANS
from sensors.faults.planning import schedule_fault
from sensors.fleet import Device
from sensors.message import Message
from sensors.payloads import Packer
from sensors.source import ReadingSource
from sensors.uplink import Commands, Sender, Shared, Status, Then, Way
from telemetry.topics import status_topic

_MS_PER_SECOND = 1000

BOOT_SECONDS = 1.0
"""For how long a device that boots is away."""


class Surroundings(Struct, frozen=True):
    """What the members of a fleet have in common: the run that they are in."""

    seed: int
    shared: Shared
    unaudited: Shared
    way: Way
    now_ms: Callable[[], float]
    set_period: Callable[[int, int], None]


class Member:
    """One device; `place` is where it stands in the fleet."""

    __slots__ = (
        "_around", "_boot_ms", "_device", "_period_ms", "_place", "_random", "_retired",
        "_shared", "asleep", "faults", "ledger", "packer", "qos", "session", "source", "uplink",
    )  # fmt: skip

    def __init__(self, device: Device, place: int, boot_ms: int, around: Surroundings) -> None:
        self._device = device
        self._place = place
        self._around = around
        self._random: Random | None = None
        self.qos = device.qos
        self.asleep = False
        self._period_ms = device.period_ms
        self._retired = False
        self.faults: dict[str, Fault] = {}
        self.session = 0
        # Readings that the store cannot tell apart are no matter for an audit.
        self._shared = around.shared if device.habits.audited else around.unaudited
        self.ledger = self._shared.ledger
        self.packer = Packer(device.habits.pack) if device.habits.pack > 1 else None
        self._boot(boot_ms)
        sender = Sender(
            device.name,
            device.site,
            device.qos,
            device.habits,
            self._status(),
            Commands(device.site, device.name, self._answer),
        )
        self.uplink = around.way.uplink(sender, self._shared)

    def readings(self, due_ms: int) -> list[Message]:
        """Return the readings of the period that is due."""
        return self.source.readings(due_ms, self.faults)

    def set_period(self, period_ms: int) -> dict[str, Any]:
        """Make readings at another pace from now on."""
        self._period_ms = period_ms
        self._around.set_period(self._place, period_ms)
        return {"period_ms": period_ms}

    def set_fault(self, fault: str | None, for_ms: int | None) -> dict[str, Any]:
        """Begin a fault, for so long or until told otherwise; None ends all."""
        if fault is None:
            self._end_all()
            return {"fault": None}
        if fault not in PLANS:
            raise Refused(f"not a fault of this device; one of {', '.join(PLANS)} is")
        self.begin(PLANS[fault]().begin(self._chance), for_ms)
        return {"fault": fault, "for_ms": for_ms}

    def begin(self, fault: Fault, for_ms: float | None) -> None:
        """Let a fault begin, in place of one of its kind; it ends by itself where that is said."""
        if self._retired:
            return
        self._end(fault.name)
        # A new dictionary, because the old one may be read.
        self.faults = {**self.faults, fault.name: fault}
        self.struck(fault.name)
        fault.began(self)
        if for_ms is not None:
            asyncio.get_running_loop().call_later(for_ms / _MS_PER_SECOND, self.end, fault)

    def end(self, fault: Fault) -> None:
        """Let a fault end, where it has not ended yet."""
        if self.faults.get(fault.name) is fault:
            self._end(fault.name)

    def plan_faults(self) -> None:
        """Let the faults of the fleet file come at their times, counted from now."""
        for number, plan in enumerate(self._device.habits.faults):
            seed, name = self._around.seed, self._device.name
            group = name.rpartition("-")[0]
            schedule_fault(self, plan, f"{seed}/{name}/{number}", f"{seed}/{group}/{number}")

    def retire(self) -> None:
        """Let all faults end, and none begin any more: the device is about to leave."""
        self._end_all()
        self._retired = True

    def struck(self, fault: str) -> None:
        """Tell the ledger that a fault struck."""
        self._shared.counters.strikes[fault] = self._shared.counters.strikes.get(fault, 0) + 1
        self.ledger.struck(self.session, int(self._around.now_ms()), fault)

    def break_off(self, away_seconds: float) -> None:
        """Break the connection without a word, and stay away for so long."""
        self.uplink.break_off(away_seconds)

    def slow_down(self, times: float) -> None:
        """Be due so many times as rarely as usual."""
        self._around.set_period(self._place, round(self._period_ms * times))

    def _end(self, name: str) -> None:
        ending = self.faults.get(name)
        if ending is not None:
            self.faults = {other: one for other, one in self.faults.items() if other != name}
            ending.ended(self)

    def _end_all(self) -> None:
        for name in self.faults:
            self._end(name)

    def reboot(self) -> dict[str, Any]:
        """Say when the next boot is; `_answer` sees to it."""
        return {"boot": max(int(self._around.now_ms()), self._boot_ms + 1)}

    @property
    def _chance(self) -> Random:
        if self._random is None:
            self._random = Random(f"{self._around.seed}/{self._device.name}/faults")  # noqa: S311
        return self._random

    def _answer(self, command: Command) -> tuple[bytes, Then | None]:
        controls = _Told(self)
        answer = obey(command, controls)
        boot_ms = controls.boot_ms
        return answer, None if boot_ms is None else lambda: self._restart_soon(boot_ms)

    def _restart_soon(self, boot_ms: int) -> None:
        # Not at once: the connection that is to break is just being read.
        asyncio.get_running_loop().call_soon(self._restart, boot_ms)

    def _restart(self, boot_ms: int) -> None:
        if boot_ms <= self._boot_ms:
            return
        self._shared.counters.reboots += 1
        self.asleep = True
        self._end_all()
        if self.packer is not None:
            # A pack is of one boot.
            for message in self.packer.rest():
                self.uplink.publish(message)
        self._boot(boot_ms)
        self.uplink.restart(self._status())
        asyncio.get_running_loop().call_later(BOOT_SECONDS, self._wake)

    def _wake(self) -> None:
        self.asleep = False

    def _boot(self, boot_ms: int) -> None:
        device, shared = self._device, self._shared
        self._boot_ms = boot_ms
        self.session = shared.ledger.open_session(
            site=device.site, device=device.name, boot_ms=boot_ms, qos=device.qos
        )
        if shared.keeping is not None:
            shared.keeping.know_session(device.name, boot_ms, self.session)
        self.source = ReadingSource(
            device, seed=self._around.seed, boot_ms=boot_ms, session=self.session
        )

    def _status(self) -> Status:
        device = self._device
        topic = status_topic(device.site, device.name)
        return Status(topic, device.qos, self._boot_ms, device.profile.name)


class _Told:
    """The controls during one command: a boot waits until the answer is out."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self.boot_ms: int | None = None
        self.set_period = member.set_period
        self.set_fault = member.set_fault

    def reboot(self) -> dict[str, Any]:
        answer = self._member.reboot()
        self.boot_ms = int(answer["boot"])
        return answer
