"""Faults of what is measured: the reading is delivered as any other, and it is wrong."""

from collections.abc import Iterator
from random import Random
from typing import Annotated, ClassVar

from msgspec import Meta

from sensors.faults.fault import Chance, Fault, FaultPlan
from telemetry.reading import FieldName, Value

_MS_PER_HOUR = 3_600_000

Fields = Annotated[
    tuple[FieldName, ...], Meta(description="a list of field names; empty: all of them")
]


class Stuck(Fault):
    """Each field stays at the first value it had."""

    name: ClassVar[str] = "stuck"

    def __init__(self, fields: tuple[str, ...]) -> None:
        self._fields = fields
        self._held: dict[str, dict[str, Value]] = {}

    def alter(self, measurement: str, values: dict[str, Value], time_ms: int) -> bool:  # noqa: ARG002
        """Put the held values in place of the new ones."""
        held = self._held.setdefault(measurement, dict(values))
        names = self._fields or list(values)
        for name in names:
            if name in values:
                values[name] = held[name]
        return any(name in values for name in names)


class StuckPlan(FaultPlan, frozen=True, tag=Stuck.name):
    """`fault = "stuck"`."""

    fields: Fields = ()

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a fault that holds what it sees first."""
        return Stuck(self.fields)


class Spike(Fault):
    """Some readings jump far off."""

    name: ClassVar[str] = "spike"

    def __init__(self, plan: "SpikePlan", random: Random) -> None:
        self._plan = plan
        self._random = random

    def alter(self, measurement: str, values: dict[str, Value], time_ms: int) -> bool:  # noqa: ARG002
        """Add to the numbers, up or down, or multiply them."""
        plan, random = self._plan, self._random
        if random.random() >= plan.chance:
            return False
        sign = random.choice((-1.0, 1.0))
        altered = False
        for name, value in _numbers(values, plan.fields):
            by = 9 * abs(value) + 1 if plan.by is None else plan.by
            values[name] = value + sign * by
            altered = True
        return altered


class SpikePlan(FaultPlan, frozen=True, tag=Spike.name):
    """`fault = "spike"`."""

    fields: Fields = ()
    by: Annotated[
        float | None, Meta(description="how far a value jumps, in its own unit; else tenfold")
    ] = None
    chance: Chance = 0.2

    def begin(self, random: Random) -> Fault:
        """Return a fault that strikes by chance."""
        return Spike(self, random)


class Drift(Fault):
    """Numbers leave the truth slowly."""

    name: ClassVar[str] = "drift"

    def __init__(self, plan: "DriftPlan") -> None:
        self._plan = plan
        self._begun_ms: int | None = None

    def alter(self, measurement: str, values: dict[str, Value], time_ms: int) -> bool:  # noqa: ARG002
        """Add what has built up since the first reading."""
        if self._begun_ms is None:
            self._begun_ms = time_ms
        hours = (time_ms - self._begun_ms) / _MS_PER_HOUR
        altered = False
        for name, value in _numbers(values, self._plan.fields):
            by = abs(value) + 1 if self._plan.per_hour is None else self._plan.per_hour
            values[name] = value + by * hours
            altered = True
        return altered


class DriftPlan(FaultPlan, frozen=True, tag=Drift.name):
    """`fault = "drift"`."""

    fields: Fields = ()
    per_hour: Annotated[
        float | None,
        Meta(description="what is added in an hour, in the field's unit; else the value again"),
    ] = None

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a fault that begins at nothing."""
        return Drift(self)


def _numbers(values: dict[str, Value], fields: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    for name in fields or list(values):
        value = values.get(name)
        if isinstance(value, float):
            yield name, value
