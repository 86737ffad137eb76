"""More signals: waves, ramps and walks; as those of `signals.py`, asked in order of time."""

from dataclasses import dataclass, field
from math import pi, sin, sqrt
from random import Random

from sensors.signals import (
    DAY_SECONDS,
    HOUR_SECONDS,
    WESTERN_INDONESIA_UTC_OFFSET_HOURS,
    Moment,
    NumberSignal,
)

_EPOCH_WEEKDAY = 3  # 1 January 1970 was a Thursday; Monday is 0


@dataclass(slots=True)
class Sine:
    """A wave of any length around its mean, as vibration and tides are."""

    mean: float
    amplitude: float
    period_s: float
    phase_s: float = 0.0

    def at(self, moment: Moment) -> float:
        """Return the wave's height."""
        turns = (moment.time_s + self.phase_s) / self.period_s
        return self.mean + self.amplitude * sin(2 * pi * turns)


@dataclass(slots=True)
class Ramp:
    """From one number to another, then from the beginning again (a sawtooth)."""

    low: float
    high: float
    period_s: float
    phase_s: float = 0.0

    def at(self, moment: Moment) -> float:
        """Return how far it has come."""
        share = (moment.time_s + self.phase_s) / self.period_s % 1.0
        return self.low + (self.high - self.low) * share


@dataclass(slots=True)
class WeeklyCycle:
    """One level for each day of the local week, from Monday, blended over midnight."""

    levels: tuple[float, float, float, float, float, float, float]
    blend_hours: float = 2.0
    utc_offset_hours: float = WESTERN_INDONESIA_UTC_OFFSET_HOURS

    def at(self, moment: Moment) -> float:
        """Return the day's level; within `blend_hours` of its beginning, some of the last day's."""
        local_s = moment.time_s + self.utc_offset_hours * HOUR_SECONDS
        day, into_s = divmod(local_s, DAY_SECONDS)
        today = int(day) + _EPOCH_WEEKDAY
        share = min(1.0, into_s / (self.blend_hours * HOUR_SECONDS))
        return self.levels[(today - 1) % 7] * (1 - share) + self.levels[today % 7] * share


@dataclass(slots=True)
class Walk:
    """A random walk that turns back at its bounds: where it is says nothing of where it began.

    `per_sqrt_s` is the standard deviation of what one second adds.
    """

    random: Random
    per_sqrt_s: float
    least: float
    most: float
    _value: float | None = field(default=None, init=False)

    def at(self, moment: Moment) -> float:
        """Return the place that the walk has come to."""
        if self._value is None:
            self._value = self.random.uniform(self.least, self.most)
        step = self.random.gauss(0.0, self.per_sqrt_s * sqrt(moment.elapsed_s))
        self._value = _reflected(self._value + step, self.least, self.most)
        return self._value


@dataclass(slots=True)
class Product:
    """Two signals multiplied, such as people in an office by the hour and by the weekday."""

    first: NumberSignal
    second: NumberSignal

    def at(self, moment: Moment) -> float:
        """Return the two multiplied."""
        return self.first.at(moment) * self.second.at(moment)


def _reflected(value: float, least: float, most: float) -> float:
    width = most - least
    along = (value - least) % (2 * width)
    return least + (along if along <= width else 2 * width - along)
