"""When the faults of a fleet file befall a device: once, at intervals, or by chance."""

import asyncio
from random import Random
from typing import Protocol

from sensors.faults.fault import Fault, FaultPlan

_MS_PER_SECOND = 1000
_SECONDS_PER_HOUR = 3600


class Victim(Protocol):
    """The device that a fault befalls."""

    def begin(self, fault: Fault, for_ms: float | None) -> None:
        """Let a fault begin."""
        ...


def schedule_fault(victim: Victim, plan: FaultPlan, seed: str, group_seed: str = "") -> None:
    """Let a plan's fault come over a device at its times, counted from now, if it is in its share.

    All chance is the seed's. What strikes a group together takes its times from the group's.
    """
    chance = Random(seed)  # noqa: S311  believable, not secret
    if chance.random() >= plan.share:
        return
    times = Random(group_seed) if plan.together else chance  # noqa: S311
    loop = asyncio.get_running_loop()

    def wait_seconds() -> float | None:
        if plan.times_per_hour is not None:
            return times.expovariate(plan.times_per_hour / _SECONDS_PER_HOUR)
        return plan.every_s

    def strike(due_s: float) -> None:
        victim.begin(
            plan.begin(chance), None if plan.for_s is None else plan.for_s * _MS_PER_SECOND
        )
        wait(due_s, wait_seconds())

    def wait(from_s: float, seconds: float | None) -> None:
        # By the time that it was due, so that those that strike together stay together.
        if seconds is not None:
            loop.call_at(from_s + seconds, strike, from_s + seconds)

    wait(loop.time(), plan.at_s if plan.times_per_hour is None else wait_seconds())
