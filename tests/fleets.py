"""What the fleet files of tests have in common."""

from tests.eventually import STALL_SECONDS

PATIENT = f"late_ms = {1_000 + 1_000 * STALL_SECONDS:g}\n"
"""A line of `[run]`: the run is not void where the machine stands still for a moment."""

VOID = "could not keep up"
"""What a run says that is void since the machine stood still: it counts for nothing."""
