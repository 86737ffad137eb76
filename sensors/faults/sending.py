"""Faults on a reading's way out of the device."""

from random import Random
from typing import ClassVar

from sensors.faults.fault import Chance, Fault, FaultPlan


class Dropout(Fault):
    """Readings are made and never leave: gaps in the sequence, dropped in the ledger."""

    name: ClassVar[str] = "dropout"

    def __init__(self, chance: float, random: Random) -> None:
        self._chance = chance
        self._random = random

    def withholds(self) -> bool:
        """Tell whether the next one stays."""
        return self._random.random() < self._chance


class DropoutPlan(FaultPlan, frozen=True, tag=Dropout.name):
    """`fault = "dropout"`."""

    chance: Chance = 1.0

    def begin(self, random: Random) -> Fault:
        """Return a fault that keeps all, or some by chance."""
        return Dropout(self.chance, random)
