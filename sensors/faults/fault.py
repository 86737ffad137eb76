"""What every fault is: how a fleet file describes it, and what it does while it lasts.

A fault takes part at one or more of the steps of a reading: the clock that stamps it, the values,
the way out; or it does something to the device. The ledger is told of each reading that one had a
part in, and of each time that one struck, so that the audit knows what to expect.
"""

from random import Random
from typing import Annotated, ClassVar, Protocol

from msgspec import Meta, Struct

from sensors.message import Message
from telemetry.reading import Value


class Afflicted(Protocol):
    """What a fault may do to a device besides its readings."""

    def struck(self, fault: str) -> None:
        """Tell the ledger that a fault struck once more."""
        ...

    def break_off(self, away_seconds: float) -> None:
        """Break the connection without a word, and stay away for so long."""
        ...

    def slow_down(self, times: float) -> None:
        """Be due so many times as rarely as the fleet file says."""
        ...


class Fault:
    """A fault of one device, from its beginning to its end; by itself it does nothing."""

    name: ClassVar[str]

    def began(self, device: Afflicted) -> None:
        """Do what is to be done at once."""

    def ended(self, device: Afflicted) -> None:
        """Put right what would stay wrong."""

    def clock_ms(self, due_ms: int) -> int:  # noqa: ARG002
        """Return by how much the device's clock is ahead of the right time."""
        return 0

    def alter(self, measurement: str, values: dict[str, Value], time_ms: int) -> bool:  # noqa: ARG002
        """Change the values of a reading; tell whether that was done."""
        return False

    def withholds(self, time_ms: int) -> bool:  # noqa: ARG002
        """Tell whether the reading of this time never leaves the device."""
        return False

    def send(self, messages: list[Message], now_ms: float) -> bool:  # noqa: ARG002
        """Change what leaves in place of one message, and how much later; tell whether it did."""
        return False


Seconds = Annotated[float, Meta(gt=0, le=31_536_000, description="seconds, more than 0")]
Chance = Annotated[float, Meta(gt=0, le=1, description="a share: more than 0, at most 1")]


class FaultPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """A fault as it is described: whom it befalls and when; the kinds add how.

    It is due once, at `at_s` from the first readings, or also `every_s` from there on; or by chance
    so many times an hour. Without `for_s` one that is due once lasts to the end.
    """

    together: ClassVar[bool] = False
    """Whether chance strikes all devices of a group at one time."""

    breaks_connection: ClassVar[bool] = False
    """Whether it needs a connection of the device's own."""

    share: Annotated[
        Chance, Meta(description="the share of the group's devices: more than 0, at most 1")
    ] = 1.0
    at_s: Annotated[
        Annotated[float, Meta(ge=0, le=31_536_000)] | None,
        Meta(description="seconds from the first readings"),
    ] = None
    for_s: Annotated[Seconds | None, Meta(description="seconds, more than 0")] = None
    every_s: Annotated[Seconds | None, Meta(description="seconds, more than 0")] = None
    times_per_hour: Annotated[
        Annotated[float, Meta(gt=0, le=36_000)] | None,
        Meta(description="how often an hour, more than 0, at most 36000"),
    ] = None

    def begin(self, random: Random) -> Fault:
        """Return the fault for one device, now."""
        raise NotImplementedError

    def contradiction(self) -> tuple[str, str] | None:
        """Return the key and what is wrong with it, where keys do not go together."""
        if (self.at_s is None) == (self.times_per_hour is None):
            return "at_s", "one of at_s and times_per_hour says when"
        if self.times_per_hour is not None and self.for_s is None:
            return "for_s", "is missing, and times_per_hour needs it"
        if self.every_s is not None and (self.at_s is None or self.for_s is None):
            return "every_s", "needs at_s and for_s"
        if self.every_s is not None and self.for_s is not None and self.for_s > self.every_s:
            return "for_s", f"{self.for_s:g} is more than every_s, {self.every_s:g}"
        return None
