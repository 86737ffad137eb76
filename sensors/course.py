"""The course of a run: how it begins, how fast readings are due at each time, and when it ends.

Stages make time run faster or slower for the fleet. A device is due in the fleet's own time, at
start + spread + k * period; a rate of 2 lets twice as much of that pass in a second. So the loop
stays open in every stage, and what a stage asks for is due whether or not anything can keep up.
"""

from math import sqrt
from typing import Annotated

from msgspec import Meta, Struct

_MS_PER_SECOND = 1000.0

_Seconds = Annotated[float, Meta(gt=0, le=31_536_000)]


class RunPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The table `[run]`."""

    connect_per_s: Annotated[
        Annotated[float, Meta(gt=0, le=100_000)] | None,
        Meta(description="how many devices begin to connect a second; without it, all at once"),
    ] = None
    barrier: Annotated[
        bool, Meta(description="true: readings begin when all are connected; false: one by one")
    ] = True
    duration_s: Annotated[
        _Seconds | None, Meta(description="seconds of readings, without stages")
    ] = None
    readings: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="the run ends after so many readings")
    ] = None
    late_ms: Annotated[
        float, Meta(gt=0, le=3_600_000, description="how late a reading counts against late_share")
    ] = 1000.0
    late_share: Annotated[
        float,
        Meta(ge=0, le=1, description="the share of late readings above which a run is void, 0..1"),
    ] = 0.05


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[stages]]`: so many seconds at a rate, or on the way to it."""

    for_s: Annotated[_Seconds, Meta(description="seconds, more than 0")]
    rate: Annotated[
        float, Meta(ge=0, le=1000, description="times the groups' own rate, from 0 to 1000")
    ] = 1.0
    ramp: Annotated[
        bool, Meta(description="true: the rate goes there from the last stage's, evenly")
    ] = False
    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None, Meta(description="a short text")
    ] = None


class _Leg(Struct, frozen=True):
    """A stage in milliseconds from the start: real time, the fleet's time, and how it runs."""

    begin_ms: float
    fleet_begin_ms: float
    length_ms: float
    from_rate: float
    to_rate: float

    def passed_ms(self, real_ms: float) -> float:
        """Return how much of the fleet's time passes in so much of the leg."""
        slope = (self.to_rate - self.from_rate) / self.length_ms
        return self.from_rate * real_ms + slope * real_ms * real_ms / 2

    def real_ms(self, passed_ms: float) -> float:
        """Return when so much of the fleet's time has passed; the other way round."""
        slope = (self.to_rate - self.from_rate) / self.length_ms
        if passed_ms <= 0:
            return 0.0
        if slope == 0:
            return passed_ms / self.from_rate
        # Of the two roots, the one that does not cancel digits.
        root = sqrt(max(0.0, self.from_rate * self.from_rate + 2 * slope * passed_ms))
        return 2 * passed_ms / (self.from_rate + root)


class Course:
    """Turns the fleet's time into real time and back; both count from the start, in ms."""

    def __init__(self, stages: list[Stage]) -> None:
        self._legs: list[_Leg] = []
        begin_ms = fleet_ms = rate = 0.0
        for stage in stages:
            length_ms = stage.for_s * _MS_PER_SECOND
            leg = _Leg(
                begin_ms, fleet_ms, length_ms, rate if stage.ramp else stage.rate, stage.rate
            )
            self._legs.append(leg)
            begin_ms += length_ms
            fleet_ms += leg.passed_ms(length_ms)
            rate = stage.rate
        self.seconds = begin_ms / _MS_PER_SECOND if stages else None
        """How long all stages take; None without any."""

    def fleet_ms(self, real_ms: float) -> float:
        """Return how much of the fleet's time has passed."""
        if not self._legs:
            return real_ms
        leg = self._legs[self.stage_at(real_ms)]
        return leg.fleet_begin_ms + leg.passed_ms(min(real_ms - leg.begin_ms, leg.length_ms))

    def real_ms(self, fleet_ms: float) -> float:
        """Return when that has passed: at a pause, when it ends."""
        if not self._legs:
            return fleet_ms
        leg = next(
            (one for one in reversed(self._legs) if one.fleet_begin_ms < fleet_ms), self._legs[0]
        )
        passed_ms = min(fleet_ms - leg.fleet_begin_ms, leg.passed_ms(leg.length_ms))
        return leg.begin_ms + leg.real_ms(passed_ms)

    def stage_at(self, real_ms: float) -> int:
        """Return the place of the stage that a time is in; behind the last one, the last."""
        places = [place for place, leg in enumerate(self._legs) if leg.begin_ms <= real_ms]
        return places[-1] if places else 0
