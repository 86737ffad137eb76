"""Shapes: which part of its users a run has at each moment, as stages one after another."""

from typing import Literal

from msgspec import Struct

ShapeName = Literal["steady", "step", "spike", "soak", "limit"]


class Stage(Struct, frozen=True):
    """A part of a run: its name, its share of the duration, and its share of all users."""

    name: str
    share: float
    load: float


STAGES: dict[ShapeName, list[Stage]] = {
    "steady": [Stage("steady", 1.0, 1.0)],
    "step": [Stage(f"step {number} of 5", 0.2, number / 5) for number in range(1, 6)],
    "spike": [
        Stage("before the spike", 0.4, 0.2),
        Stage("spike", 0.2, 1.0),
        Stage("after the spike", 0.4, 0.2),
    ],
    # Its load comes slowly, so that what grows over hours is not hidden by the beginning.
    "soak": [
        *(Stage(f"soak, rising {number} of 10", 0.01, number / 10) for number in range(1, 10)),
        Stage("soak", 0.91, 1.0),
    ],
}


def stage_at(shape: ShapeName, elapsed_seconds: float, duration_seconds: float) -> Stage | None:
    """Return the stage of a moment, None behind the last."""
    until = 0.0
    for stage in STAGES[shape]:
        until += stage.share * duration_seconds
        # The sum of the shares is 1 but for rounding.
        if elapsed_seconds < until - 1e-6:
            return stage
    return None


def users_of(stage: Stage, users: int) -> int:
    """Return how many users a stage has: at least one."""
    return max(1, round(stage.load * users))
