"""Signals: what the fields of a simulated device do over time.

A signal is asked once per reading, in order of time, and keeps its own state. All chance comes from
the random generator that it was given, so that one seed and one row of due times give one row of
values. Fields of one measurement are asked in order; a later one may look at the earlier ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import cos, exp, log, pi, sqrt
from random import Random
from typing import Protocol

from telemetry.reading import Value

HOUR_SECONDS = 3600.0
DAY_SECONDS = 24 * HOUR_SECONDS
WESTERN_INDONESIA_UTC_OFFSET_HOURS = 7.0


@dataclass(slots=True)
class Moment:
    """When a reading is due, seconds since the epoch, and what the same reading holds so far.

    `elapsed_s` is the time since the measurement's last reading, 0 at the first.
    """

    time_s: float
    elapsed_s: float
    values: dict[str, Value]


class Signal(Protocol):
    """Anything that gives a field's value."""

    def at(self, moment: Moment) -> Value:
        """Return the value at a moment; moments come in order of time."""


class NumberSignal(Protocol):
    """A signal whose values are numbers."""

    def at(self, moment: Moment) -> float:
        """Return the value at a moment; moments come in order of time."""


@dataclass(slots=True)
class Constant:
    """Always the same number."""

    value: float

    def at(self, moment: Moment) -> float:  # noqa: ARG002
        """Return the number."""
        return self.value


@dataclass(slots=True)
class DailyCycle:
    """A wave of 24 hours around its mean, highest at `peak_hour` of local time."""

    mean: float
    amplitude: float
    peak_hour: float
    utc_offset_hours: float = WESTERN_INDONESIA_UTC_OFFSET_HOURS

    def at(self, moment: Moment) -> float:
        """Return the wave's height."""
        hours = moment.time_s / HOUR_SECONDS + self.utc_offset_hours - self.peak_hour
        return self.mean + self.amplitude * cos(2 * pi * hours / 24)


@dataclass(slots=True)
class Noise:
    """Chance without memory, around zero."""

    random: Random
    deviation: float

    def at(self, moment: Moment) -> float:  # noqa: ARG002
        """Return a normally distributed number."""
        return self.random.gauss(0.0, self.deviation)


class Wander:
    """Chance with memory: it leaves zero and comes back (an Ornstein-Uhlenbeck process).

    `deviation` is the standard deviation in the long run, `memory_s` the time after which about a
    third (1/e) of an excursion is left.
    """

    __slots__ = ("_deviation", "_memory_s", "_random", "_value")

    def __init__(self, random: Random, deviation: float, memory_s: float) -> None:
        self._random = random
        self._deviation = deviation
        self._memory_s = memory_s
        self._value = random.gauss(0.0, deviation)

    def at(self, moment: Moment) -> float:
        """Return the excursion from zero; exact for any distance between readings."""
        kept = exp(-moment.elapsed_s / self._memory_s)
        spread = self._deviation * sqrt(1 - kept * kept)
        self._value = self._value * kept + self._random.gauss(0.0, spread)
        return self._value


@dataclass(slots=True)
class Drift:
    """What an ageing sensor adds: zero at first, then `per_day` more each day."""

    per_day: float
    _value: float = field(default=0.0, init=False)

    def at(self, moment: Moment) -> float:
        """Return the offset that has built up since the first reading."""
        self._value += self.per_day * moment.elapsed_s / DAY_SECONDS
        return self._value


@dataclass(slots=True)
class Lagging:
    """Follows another signal slowly, as a mass follows its heating."""

    source: NumberSignal
    lag_s: float
    _value: float | None = field(default=None, init=False)

    def at(self, moment: Moment) -> float:
        """Return the value, which has come closer to the source's since the last reading."""
        aim = self.source.at(moment)
        if self._value is None:
            self._value = aim
        self._value = aim + (self._value - aim) * exp(-moment.elapsed_s / self.lag_s)
        return self._value


class Sensor:
    """What a sensor of a range and a resolution shows of the sum of several signals."""

    __slots__ = ("_digits", "_least", "_most", "_parts")

    def __init__(
        self, *parts: NumberSignal, least: float, most: float, digits: int | None = 2
    ) -> None:
        self._parts = parts
        self._least = float(least)
        self._most = float(most)
        self._digits = digits

    def at(self, moment: Moment) -> float:
        """Return the sum, kept within the range and rounded to the resolution."""
        total = 0.0
        for part in self._parts:
            total += part.at(moment)
        if total < self._least:
            total = self._least
        elif total > self._most:
            total = self._most
        return total if self._digits is None else round(total, self._digits)


@dataclass(slots=True)
class Derived:
    """A value worked out from the fields that stand before it in the same reading."""

    function: Callable[[Mapping[str, Value]], Value]

    def at(self, moment: Moment) -> Value:
        """Return what the function makes of the fields so far."""
        return self.function(moment.values)


@dataclass(slots=True)
class Integral:
    """The integral of a field over time, as energy is of power; it never goes back.

    The unit is the field's times `per_s` seconds: of kilowatts and 3600 s, kilowatt-hours.
    """

    of: str
    per_s: float = HOUR_SECONDS
    start: float = 0.0
    digits: int = 4
    _total: float | None = field(default=None, init=False)

    def at(self, moment: Moment) -> float:
        """Return the sum so far; between readings the field is taken as constant."""
        total = self.start if self._total is None else self._total
        self._total = total + number(moment.values, self.of) * moment.elapsed_s / self.per_s
        return round(self._total, self.digits)


class States:
    """A state by name that changes by chance (a Markov chain in continuous time).

    `stays_s` gives each state's mean stay in seconds, `follows` the states that may come next; one
    that is named twice is twice as likely.
    """

    __slots__ = ("_follows", "_random", "_state", "_stays_s")

    def __init__(
        self, random: Random, stays_s: Mapping[str, float], follows: Mapping[str, tuple[str, ...]]
    ) -> None:
        self._random = random
        self._stays_s = stays_s
        self._follows = follows
        # Started as a device met at any time is: more likely in a state with long stays.
        self._state = random.choices(list(stays_s), weights=list(stays_s.values()))[0]

    def at(self, moment: Moment) -> str:
        """Return the state's name."""
        leaves = 1 - exp(-moment.elapsed_s / self._stays_s[self._state])
        if self._random.random() < leaves:
            self._state = self._random.choice(self._follows[self._state])
        return self._state


@dataclass(slots=True)
class ByState:
    """One signal for each state that an earlier field may have."""

    state: str
    signals: Mapping[str, NumberSignal]

    def at(self, moment: Moment) -> float:
        """Return the value of the signal that belongs to the state."""
        return self.signals[str(moment.values[self.state])].at(moment)


def number(values: Mapping[str, Value], name: str) -> float:
    """Return a field that is known to be a number."""
    value = values[name]
    assert isinstance(value, float)
    return value


def dew_point(temperature: float, humidity: float) -> float:
    """Return the dew point in °C, of °C and relative humidity in % (Magnus; Sonntag 1990)."""
    steepness, offset = 17.62, 243.12
    temperature = max(temperature, -200.0)
    share = log(min(max(humidity, 1.0), 100.0) / 100) + steepness * temperature / (
        offset + temperature
    )
    return offset * share / (steepness - share)
