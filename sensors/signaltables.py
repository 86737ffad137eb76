"""Signals as a fleet file describes them: `{ signal = "daily", mean = 24, amplitude = 4, … }`.

Each kind makes one of `signals.py` and `waves.py` for a device, with that device's chance. Some
look at fields that stand before theirs in the same measurement; which these are they say.
"""

from collections.abc import Mapping
from random import Random
from typing import Annotated, ClassVar, Literal

from msgspec import Meta, Struct

from sensors.signals import (
    HOUR_SECONDS,
    WESTERN_INDONESIA_UTC_OFFSET_HOURS,
    ByState,
    Constant,
    DailyCycle,
    Derived,
    Drift,
    Integral,
    Lagging,
    Moment,
    Noise,
    Signal,
    States,
    Wander,
    dew_point,
    number,
)
from sensors.waves import Ramp, Sine, Walk, WeeklyCycle
from telemetry.reading import FieldName

Kind = Literal["number", "state", "truth"]

_Number = Annotated[float, Meta(ge=-1e12, le=1e12, description="a number, up to 1e12")]
_Deviation = Annotated[float, Meta(ge=0, le=1e12, description="a standard deviation: 0 or more")]
_Seconds = Annotated[float, Meta(gt=0, le=1e9, description="seconds, more than 0")]
_Hour = Annotated[float, Meta(ge=0, lt=24, description="an hour of the day, from 0 to below 24")]
_Offset = Annotated[float, Meta(ge=-12, le=14, description="hours ahead of UTC, from -12 to 14")]
_Field = Annotated[FieldName, Meta(description="a field that stands before this one")]
_State = Annotated[str, Meta(min_length=1, max_length=64, description="the name of a state")]


class SignalTable(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="signal"
):
    """What all kinds can be asked."""

    kind: ClassVar[Kind] = "number"

    @property
    def numbers(self) -> Mapping[str, str]:
        """The number fields that it looks at, by its keys."""
        return {}

    def contradiction(self) -> tuple[str, str] | None:
        """Return the key and what is wrong with it, where keys do not go together."""
        return None

    def make(self, random: Random) -> Signal:
        """Return the signal for one device."""
        raise NotImplementedError


class ConstantTable(SignalTable, frozen=True, tag="constant"):
    """Always the same number."""

    value: _Number

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return it."""
        return Constant(self.value)


class OwnTable(SignalTable, frozen=True, tag="own"):
    """By how much a device differs from its like, from its beginning to its end."""

    deviation: _Deviation

    def make(self, random: Random) -> Signal:
        """Return what chance gives this device."""
        return Constant(random.gauss(0.0, self.deviation))


class DailyTable(SignalTable, frozen=True, tag="daily"):
    """A wave of 24 hours."""

    amplitude: _Number
    peak_hour: _Hour
    mean: _Number = 0.0
    utc_offset_hours: _Offset = WESTERN_INDONESIA_UTC_OFFSET_HOURS

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the wave."""
        return DailyCycle(self.mean, self.amplitude, self.peak_hour, self.utc_offset_hours)


class WeeklyTable(SignalTable, frozen=True, tag="weekly"):
    """A level for each day, from Monday."""

    levels: Annotated[
        tuple[float, float, float, float, float, float, float],
        Meta(description="seven numbers, from Monday"),
    ]
    blend_hours: Annotated[
        float, Meta(gt=0, le=24, description="hours, more than 0, at most 24")
    ] = 2.0
    utc_offset_hours: _Offset = WESTERN_INDONESIA_UTC_OFFSET_HOURS

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the levels."""
        return WeeklyCycle(self.levels, self.blend_hours, self.utc_offset_hours)


class SineTable(SignalTable, frozen=True, tag="sine"):
    """A wave of any length."""

    amplitude: _Number
    period_s: _Seconds
    mean: _Number = 0.0
    phase_s: _Number = 0.0

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the wave."""
        return Sine(self.mean, self.amplitude, self.period_s, self.phase_s)


class RampTable(SignalTable, frozen=True, tag="ramp"):
    """From one number to another, and again from the beginning."""

    low: _Number
    high: _Number
    period_s: _Seconds
    phase_s: _Number = 0.0

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the ramp."""
        return Ramp(self.low, self.high, self.period_s, self.phase_s)


class NoiseTable(SignalTable, frozen=True, tag="noise"):
    """Chance without memory."""

    deviation: _Deviation

    def make(self, random: Random) -> Signal:
        """Return the noise."""
        return Noise(random, self.deviation)


class WanderTable(SignalTable, frozen=True, tag="wander"):
    """Chance with memory, around zero (Ornstein-Uhlenbeck)."""

    deviation: _Deviation
    memory_s: _Seconds

    def make(self, random: Random) -> Signal:
        """Return the process."""
        return Wander(random, self.deviation, self.memory_s)


class WalkTable(SignalTable, frozen=True, tag="walk"):
    """A random walk between bounds."""

    per_sqrt_s: _Deviation
    least: _Number
    most: _Number

    def contradiction(self) -> tuple[str, str] | None:
        """Return what is wrong with the bounds."""
        return None if self.least < self.most else ("most", "is not above least")

    def make(self, random: Random) -> Signal:
        """Return the walk."""
        return Walk(random, self.per_sqrt_s, self.least, self.most)


class DriftTable(SignalTable, frozen=True, tag="drift"):
    """What an ageing sensor adds."""

    per_day: _Number

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the drift."""
        return Drift(self.per_day)


class FollowTable(SignalTable, frozen=True, tag="follow"):
    """`times` another field `plus` something, at once or slowly."""

    field: _Field
    times: _Number = 1.0
    plus: _Number = 0.0
    lag_s: Annotated[float, Meta(ge=0, le=1e9, description="seconds, 0 or more")] = 0.0

    @property
    def numbers(self) -> Mapping[str, str]:
        """What it follows."""
        return {"field": self.field}

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return what follows."""
        aim = _Follower(self)
        return Lagging(aim, self.lag_s) if self.lag_s else aim


class IntegralTable(SignalTable, frozen=True, tag="integral"):
    """A field summed up over time, as energy is of power."""

    field: _Field
    per_s: _Seconds = HOUR_SECONDS
    start: _Number = 0.0

    @property
    def numbers(self) -> Mapping[str, str]:
        """What is summed up."""
        return {"field": self.field}

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the sum."""
        return Integral(self.field, self.per_s, self.start)


class DewPointTable(SignalTable, frozen=True, tag="dew-point"):
    """The dew point in °C, of a temperature in °C and a relative humidity in %."""

    temperature: _Field
    humidity: _Field

    @property
    def numbers(self) -> Mapping[str, str]:
        """What it is worked out from."""
        return {"temperature": self.temperature, "humidity": self.humidity}

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return what works it out."""
        return Derived(
            lambda values: dew_point(
                number(values, self.temperature), number(values, self.humidity)
            )
        )


class StatesTable(SignalTable, frozen=True, tag="states"):
    """A state by name that changes by chance (Markov)."""

    kind: ClassVar[Kind] = "state"

    stays_s: Annotated[
        dict[_State, _Seconds],
        Meta(min_length=1, max_length=100, description="a table: each state's mean stay, seconds"),
    ]
    follows: Annotated[
        dict[_State, Annotated[list[_State], Meta(min_length=1, max_length=100)]],
        Meta(description="a table: for a state a list of those that may come next"),
    ] = {}

    def contradiction(self) -> tuple[str, str] | None:
        """Return which state is named that there is not."""
        named = {*self.follows, *(one for states in self.follows.values() for one in states)}
        unknown = sorted(named - self.stays_s.keys())
        return ("follows", f"no stay is given for {', '.join(unknown)}") if unknown else None

    def make(self, random: Random) -> Signal:
        """Return the chain; from a state of which nothing is said, to any of the others."""
        follows = {
            state: tuple(self.follows.get(state) or [one for one in self.stays_s if one != state])
            or (state,)
            for state in self.stays_s
        }
        return States(random, self.stays_s, follows)


class ByStateTable(SignalTable, frozen=True, tag="by-state"):
    """A number for each state of another field."""

    field: _Field
    values: Annotated[dict[_State, float], Meta(description="a table: a number for each state")]

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return the numbers."""
        return ByState(self.field, {state: Constant(one) for state, one in self.values.items()})


class InStateTable(SignalTable, frozen=True, tag="in-state"):
    """Whether another field is in a state."""

    kind: ClassVar[Kind] = "truth"

    field: _Field
    state: _State

    def make(self, random: Random) -> Signal:  # noqa: ARG002
        """Return what tells it."""
        return Derived(lambda values: values[self.field] == self.state)


AnySignal = (
    ConstantTable
    | OwnTable
    | DailyTable
    | WeeklyTable
    | SineTable
    | RampTable
    | NoiseTable
    | WanderTable
    | WalkTable
    | DriftTable
    | FollowTable
    | IntegralTable
    | DewPointTable
    | StatesTable
    | ByStateTable
    | InStateTable
)


class _Follower:
    """Another field of the same reading, times something plus something."""

    __slots__ = ("_field", "_plus", "_times")

    def __init__(self, table: FollowTable) -> None:
        self._field, self._times, self._plus = table.field, table.times, table.plus

    def at(self, moment: Moment) -> float:
        """Return it."""
        return number(moment.values, self._field) * self._times + self._plus
