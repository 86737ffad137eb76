"""The shape that finds the limit: steps of users, each held to the objectives by itself."""

import sys
from pathlib import Path

import msgspec

from loadtest.load import Load, Tick
from loadtest.objectives import SHIPPED, Measured, Objectives, Operation, judge, read_objectives
from loadtest.pace import rate_percent
from loadtest.results import STEPS
from loadtest.search import Search, Step
from loadtest.settings import LoadtestSettings
from loadtest.window import Window

_MOST_SETTLE_SECONDS = 3.0
_MOST_RECOVERY_SECONDS = 60.0
_FIRST_SHARE = 0.1
_FRESHNESS = "freshness"


class LimitLoad(Load):
    """Raises the users that make the load, and leaves the others as they are."""

    abstract = True

    def __init__(self) -> None:
        super().__init__()
        told = self.settings
        self._moved = told.publishers or told.readers
        self._rate = told.publisher_rate if told.publishers else told.reader_rate
        self._begin()

    def reset_time(self) -> None:
        """Begin anew."""
        super().reset_time()
        self._begin()

    def _begin(self) -> None:
        self.search = Search(round(_FIRST_SHARE * self._moved), self._moved)
        self._users = self.search.next_users()
        self._settling: Window | None = None
        self._measuring: Window | None = None
        self._recovering: Window | None = None
        self._recovery: Window | None = None

    def tick(self) -> Tick | None:
        """Go on with the step at hand, or begin the next."""
        if self.is_cut_short or self._users is None:
            write_steps(self.search, self.settings)
            return None
        if self._recovering is not None:
            self._look_for_recovery()
        elif self._measuring is not None:
            self._look_for_end(self._users)
        elif self._settling is None:
            self._settling = self._window()
        elif self._settling.seconds >= self._settle_seconds:
            self._settling, self._measuring = None, self._window()
        return self._wanted()

    def _wanted(self) -> Tick | None:
        users = 1 if self._recovering is not None else self._users
        if users is None:
            return self.settings.users - self._moved + 1, self.settings.spawn_rate
        return self.settings.users - self._moved + users, self.settings.spawn_rate

    def _look_for_end(self, users: int) -> None:
        assert self._measuring is not None
        if self._measuring.seconds < self.settings.limit_step_seconds:
            return
        step = self._judged(users, self._measuring)
        self._measuring = None
        self.search.note(step)
        word = "held" if step.held else f"not held: {step.why}"
        print(f"· {step.per_second:,.0f}/s {word}", file=sys.stderr, flush=True)
        self._users = self.search.next_users()
        if not step.held:
            # What waits would be the next step's.
            self._recovering = self._recovery = self._window()

    def _look_for_recovery(self) -> None:
        assert self._recovering is not None
        assert self._recovery is not None
        if self._recovery.seconds < self._settle_seconds:
            return
        fresh = [one for one in self._recovery.operations() if one.name == _FRESHNESS]
        is_late = any((one.p99_ms or 0.0) > self._fresh_ms / 2 for one in fresh)
        is_silent = bool(self.settings.freshness) and not any(one.requests for one in fresh)
        if (is_late or is_silent) and self._recovering.seconds < _MOST_RECOVERY_SECONDS:
            self._recovery = self._window()
        else:
            self._recovering = self._recovery = None

    @property
    def _settle_seconds(self) -> float:
        return min(_MOST_SETTLE_SECONDS, self.settings.limit_step_seconds / 2)

    @property
    def _fresh_ms(self) -> float:
        found = [one.p99_ms for one in self._objectives.objectives if one.operation == _FRESHNESS]
        return min((limit for limit in found if limit is not None), default=2_000.0)

    @property
    def _objectives(self) -> Objectives:
        return read_objectives(Path(self.settings.objectives or SHIPPED))

    def _judged(self, users: int, window: Window) -> Step:
        operations = [one for one in window.operations() if one.requests]
        done = sum(one.requests - one.failures for one in operations if self._is_moved(one))
        rate = rate_percent(users * self._rate * window.seconds, done)
        taking_part = self.settings.taking_part
        measured = Measured(operations, rate, window.seconds, lost=0, users=taking_part)
        missed = [
            f"{one.objective} {one.target:g}: {one.result}"
            for one in judge(self._objectives, measured, seconds=0)
            if not one.met and (one.result is not None or one.objective.startswith(_FRESHNESS))
        ]
        return Step(users, not missed, done / window.seconds, "; ".join(missed))

    def _is_moved(self, operation: Operation) -> bool:
        if self.settings.publishers:
            return operation.name.startswith("publish:")
        return operation.users == "readers"

    def _window(self) -> Window:
        assert self.runner is not None
        return Window(self.runner.environment.stats)


def write_steps(search: Search, settings: LoadtestSettings) -> None:
    """Leave every step that was tried."""
    folder = Path(settings.results_dir)
    folder.mkdir(parents=True, exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(search.steps), indent=2)
    (folder / STEPS).write_bytes(data + b"\n")
