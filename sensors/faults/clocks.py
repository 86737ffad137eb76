"""Faults of a device's clock: readings are stamped with another time than they were due at.

Ingest takes what is up to five minutes ahead. What is further ahead it must refuse, and the ledger
says so; a clock that is about as much ahead is not offered here, because nobody could say which.
"""

from random import Random
from typing import Annotated, ClassVar

from msgspec import Meta

from sensors.faults.fault import Fault, FaultPlan

SURELY_TAKEN_MS = 240_000
SURELY_REFUSED_MS = 360_000

_DAY_MS = 86_400_000
_MILLION = 1_000_000


class ClockSkew(Fault):
    """The clock runs fast or slow: it is further off with every reading, up to four minutes."""

    name: ClassVar[str] = "clock-skew"

    def __init__(self, ppm: float) -> None:
        self._ppm = ppm
        self._begun_ms: int | None = None

    def clock_ms(self, due_ms: int) -> int:
        """Return what has built up since the first reading."""
        if self._begun_ms is None:
            self._begun_ms = due_ms
        off_ms = round((due_ms - self._begun_ms) * self._ppm / _MILLION)
        return max(-SURELY_TAKEN_MS, min(SURELY_TAKEN_MS, off_ms))


class ClockSkewPlan(FaultPlan, frozen=True, tag=ClockSkew.name):
    """`fault = "clock-skew"`."""

    ppm: Annotated[
        float,
        Meta(
            ge=-900_000, le=900_000, description="millionths, from -900000 to 900000: 50 is 50 µs/s"
        ),
    ] = 50_000.0

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a clock that is right, still."""
        return ClockSkew(self.ppm)


class ClockJump(Fault):
    """The clock is off by so much, at once, and right again afterwards.

    Back by as much as times are apart, its readings may take the place of earlier ones.
    """

    name: ClassVar[str] = "clock-jump"

    def __init__(self, by_ms: int) -> None:
        self._by_ms = by_ms

    def clock_ms(self, due_ms: int) -> int:  # noqa: ARG002
        """Return how far it is off."""
        return self._by_ms


class ClockJumpPlan(FaultPlan, frozen=True, tag=ClockJump.name):
    """`fault = "clock-jump"`."""

    by_ms: Annotated[
        int, Meta(ge=-_DAY_MS, le=_DAY_MS, description="a whole number from -86400000 to 86400000")
    ] = -45_000

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a clock that is off."""
        return ClockJump(self.by_ms)

    def contradiction(self) -> tuple[str, str] | None:
        """Return what is wrong: also a clock of which nobody can say whether ingest takes it."""
        if SURELY_TAKEN_MS < self.by_ms < SURELY_REFUSED_MS:
            return "by_ms", (
                f"ingest takes up to five minutes ahead: at most {SURELY_TAKEN_MS}, which it "
                f"takes, or at least {SURELY_REFUSED_MS}, which it refuses"
            )
        return super().contradiction()
