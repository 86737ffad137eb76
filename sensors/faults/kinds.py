"""All kinds of faults by name."""

from sensors.faults.fault import FaultPlan
from sensors.faults.sending import Dropout, DropoutPlan
from sensors.faults.values import Drift, DriftPlan, Spike, SpikePlan, Stuck, StuckPlan

PLANS: dict[str, type[FaultPlan]] = {
    Dropout.name: DropoutPlan,
    Stuck.name: StuckPlan,
    Spike.name: SpikePlan,
    Drift.name: DriftPlan,
}
"""Each with a value for all that a fleet file may say, so that a command needs to name the kind."""
