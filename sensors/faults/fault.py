"""What every fault is: how a fleet file describes it, and what it does while it lasts.

A fault takes part at one or more of the steps of a reading: the clock that stamps it, the values,
the payload, the way out. The ledger is told of each reading that one had a part in, so that the
audit knows what to expect.
"""

from random import Random
from typing import Annotated, ClassVar, Protocol

from msgspec import Meta, Struct

from sensors.message import Message
from telemetry.reading import Value


class Uplinked(Protocol):
    """The connection that a fault may do something to."""

    def publish(self, message: Message) -> None:
        """Send a reading."""
        ...


class Fault:
    """A fault of one device, from its beginning to its end; by itself it does nothing."""

    name: ClassVar[str]

    def alter(self, measurement: str, values: dict[str, Value], time_ms: int) -> bool:  # noqa: ARG002
        """Change the values of a reading; tell whether that was done."""
        return False

    def withholds(self) -> bool:
        """Tell whether the next reading never leaves the device."""
        return False


class FaultPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fault"):
    """A fault as it is described: whom it befalls and when; the kinds add how."""

    def begin(self, random: Random) -> Fault:
        """Return the fault for one device, now."""
        raise NotImplementedError


Chance = Annotated[float, Meta(gt=0, le=1, description="a share: more than 0, at most 1")]
