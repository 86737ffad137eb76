"""All kinds of faults by name."""

from sensors.faults.clocks import ClockJumpPlan, ClockSkewPlan
from sensors.faults.devices import FlappingPlan, LowBatteryPlan, ReconnectStormPlan
from sensors.faults.fault import FaultPlan
from sensors.faults.sending import (
    DropoutPlan,
    DuplicatePlan,
    LatePlan,
    MalformedPlan,
    OutOfOrderPlan,
    SlowLinkPlan,
)
from sensors.faults.values import DriftPlan, SpikePlan, StuckPlan

AnyPlan = (
    DropoutPlan
    | StuckPlan
    | SpikePlan
    | DriftPlan
    | LatePlan
    | DuplicatePlan
    | OutOfOrderPlan
    | ClockSkewPlan
    | ClockJumpPlan
    | MalformedPlan
    | FlappingPlan
    | SlowLinkPlan
    | ReconnectStormPlan
    | LowBatteryPlan
)

PLANS: dict[str, type[FaultPlan]] = {
    str(plan.__struct_config__.tag): plan for plan in AnyPlan.__args__
}
"""Each has a value for all that a fleet file may say, so that a command need only name the kind."""
