"""How many users there are at each moment of a run, told to Locust as a shape."""

import time

from locust import LoadTestShape

from loadtest.settings import LoadtestSettings

Tick = tuple[int, float]


class Load(LoadTestShape):
    """All users, from the beginning to the end."""

    abstract = True
    settings: LoadtestSettings
    is_cut_short = False

    def tick(self) -> Tick | None:
        """Return how many users there shall be and how many begin in a second; None ends it."""
        elapsed = time.perf_counter() - self.start_time
        if self.is_cut_short or elapsed >= self.settings.duration_seconds:
            return None
        return self.settings.users, self.settings.spawn_rate


def load_class(settings: LoadtestSettings) -> type[Load]:
    """Return the shape of one run."""
    given = settings

    class ChosenLoad(Load):
        abstract = False
        settings = given

    return ChosenLoad
