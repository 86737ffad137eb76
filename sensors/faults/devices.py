"""Faults of a device as a whole: its connection and its battery."""

import asyncio
from random import Random
from typing import Annotated, ClassVar

from msgspec import Meta

from sensors.faults.fault import Afflicted, Fault, FaultPlan, Seconds
from telemetry.reading import Value

_MS_PER_SECOND = 1000
_BATTERY = "battery"


class Flapping(Fault):
    """The connection breaks again and again."""

    name: ClassVar[str] = "flapping"

    def __init__(self, plan: "FlappingPlan") -> None:
        self._plan = plan
        self._next: asyncio.TimerHandle | None = None

    def began(self, device: Afflicted) -> None:
        """Break off, and again after each while."""
        device.break_off(self._plan.down_s)
        seconds = self._plan.up_s + self._plan.down_s
        self._next = asyncio.get_running_loop().call_later(seconds, self._again, device)

    def _again(self, device: Afflicted) -> None:
        device.struck(self.name)
        self.began(device)

    def ended(self, device: Afflicted) -> None:  # noqa: ARG002
        """Leave the connection alone from now on."""
        if self._next is not None:
            self._next.cancel()


class FlappingPlan(FaultPlan, frozen=True, tag=Flapping.name):
    """`fault = "flapping"`."""

    breaks_connection: ClassVar[bool] = True

    up_s: Seconds = 3.0
    down_s: Seconds = 1.0

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a fault that waits for its beginning."""
        return Flapping(self)


class ReconnectStorm(Fault):
    """All devices of a group lose their connection at one time and come back at one time."""

    name: ClassVar[str] = "reconnect-storm"

    def __init__(self, away_s: float) -> None:
        self._away_s = away_s

    def began(self, device: Afflicted) -> None:
        """Break off, without the usual spread of the way back."""
        device.break_off(self._away_s)


class ReconnectStormPlan(FaultPlan, frozen=True, tag=ReconnectStorm.name):
    """`fault = "reconnect-storm"`."""

    together: ClassVar[bool] = True
    breaks_connection: ClassVar[bool] = True

    away_s: Annotated[float, Meta(ge=0, le=3600, description="seconds from 0 to 3600")] = 1.0

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a fault that waits for its beginning."""
        return ReconnectStorm(self.away_s)


class LowBattery(Fault):
    """The battery empties: its field falls, readings are rarer, and at last none leaves."""

    name: ClassVar[str] = "low-battery"

    def __init__(self, plan: "LowBatteryPlan") -> None:
        self._plan = plan
        self._begun_ms: int | None = None

    def began(self, device: Afflicted) -> None:
        """Save energy."""
        device.slow_down(self._plan.slower)

    def ended(self, device: Afflicted) -> None:
        """Go on as before."""
        device.slow_down(1.0)

    def alter(self, measurement: str, values: dict[str, Value], time_ms: int) -> bool:  # noqa: ARG002
        """Let the fields of the battery fall; any reading of such a device is marked."""
        left = 1.0 - 0.9 * self._gone(time_ms)
        for name, value in values.items():
            if name.startswith(_BATTERY) and isinstance(value, float):
                values[name] = value * left
        return True

    def withholds(self, time_ms: int) -> bool:
        """Tell whether the battery is empty."""
        return self._gone(time_ms) >= 1.0

    def _gone(self, time_ms: int) -> float:
        if self._begun_ms is None:
            self._begun_ms = time_ms
        return min(1.0, (time_ms - self._begun_ms) / (self._plan.lasts_s * _MS_PER_SECOND))


class LowBatteryPlan(FaultPlan, frozen=True, tag=LowBattery.name):
    """`fault = "low-battery"`."""

    lasts_s: Seconds = 60.0
    slower: Annotated[float, Meta(ge=1, le=1000, description="from 1 to 1000 times")] = 2.0

    def begin(self, random: Random) -> Fault:  # noqa: ARG002
        """Return a battery that begins to empty."""
        return LowBattery(self)
