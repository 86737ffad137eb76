"""How many users there are at each moment of a run, told to Locust as a shape."""

import time

from locust import LoadTestShape

from loadtest.settings import LoadtestSettings
from loadtest.shapes import stage_at, users_of

Tick = tuple[int, float]


class Load(LoadTestShape):
    """The stages of a shape, one after another; each is noted with its times."""

    abstract = True
    settings: LoadtestSettings
    is_cut_short = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stages: list[tuple[str, int]] = []
        """The stages that have begun, with when (ms since the epoch)."""

    def tick(self) -> Tick | None:
        """Return how many users there shall be and how many begin in a second; None ends it."""
        told = self.settings
        elapsed = time.perf_counter() - self.start_time
        stage = stage_at(told.shape, elapsed, told.duration_seconds)
        if self.is_cut_short or stage is None:
            return None
        if not self.stages or self.stages[-1][0] != stage.name:
            self.stages.append((stage.name, time.time_ns() // 1_000_000))
        return users_of(stage, told.users), told.spawn_rate

    def reset_time(self) -> None:
        """Begin anew."""
        super().reset_time()  # type: ignore[no-untyped-call]
        self.stages.clear()


def load_class(shape: type[Load], settings: LoadtestSettings) -> type[Load]:
    """Return the shape of one run."""
    return type("ChosenLoad", (shape,), {"abstract": False, "settings": settings})
