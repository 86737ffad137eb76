"""The shape that finds the limit: steps of users, each held to the objectives by itself."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from loadtest.load import Load, Tick
from loadtest.objectives import SHIPPED, Measured, Operation, judge, read_objectives
from loadtest.pace import rate_percent
from loadtest.results import STEPS
from loadtest.search import Search, Step
from loadtest.window import Window

_MOST_SETTLE_SECONDS = 3.0
_MOST_RECOVERY_SECONDS = 60.0
_FIRST_SHARE = 0.1
_FRESHNESS = "freshness"
_FRESH_MS = 1_000.0  # where no objective says it


class LimitLoad(Load):
    """Raises the users that make the load, and leaves the others as they are."""

    abstract = True

    def __init__(self) -> None:
        super().__init__()
        told = self.settings
        self._moved = told.publishers or told.readers
        self._rate = told.publisher_rate if told.publishers else told.reader_rate
        self._objectives = read_objectives(Path(told.objectives or SHIPPED))
        self._settle_seconds = min(_MOST_SETTLE_SECONDS, told.limit_step_seconds / 2)
        self._begin()

    def reset_time(self) -> None:
        """Begin anew."""
        super().reset_time()
        self._begin()

    def tick(self) -> Tick | None:
        """Go on with the step at hand, or begin the next."""
        users = None if self.is_cut_short else next(self._wanted, None)
        if users is None:
            self._write_steps()
            return None
        return self.settings.users - self._moved + users, self.settings.spawn_rate

    def _begin(self) -> None:
        self.search = Search(round(_FIRST_SHARE * self._moved), self._moved)
        self._wanted = self._search()

    def _search(self) -> Iterator[int]:
        """Yield how many users there shall be at each tick."""
        users = self.search.next_users()
        while users is not None:
            yield from _hold(users, self._settle_seconds)
            window = self._window()
            yield from _hold(users, self.settings.limit_step_seconds)
            step = self._judged(users, window)
            self.search.note(step)
            word = "held" if step.held else f"not held: {step.why}"
            print(f"· {step.per_second:,.0f}/s {word}", file=sys.stderr, flush=True)
            users = self.search.next_users()
            if not step.held and users is not None:
                yield from self._recover()

    def _recover(self) -> Iterator[int]:
        """Let readings become fresh again: what waits would be the next step's."""
        until_s = time.monotonic() + _MOST_RECOVERY_SECONDS
        is_fresh = False
        while not is_fresh and time.monotonic() < until_s:
            window = self._window()
            yield from _hold(1, self._settle_seconds)
            is_fresh = self._is_fresh(window)

    def _is_fresh(self, window: Window) -> bool:
        if not self.settings.freshness:
            return True
        limits = [
            one.p99_ms
            for one in self._objectives.objectives
            if one.operation == _FRESHNESS and one.p99_ms is not None
        ]
        well_within_ms = min(limits, default=2 * _FRESH_MS) / 2
        waits_ms = [one.p99_ms for one in window.operations() if one.name == _FRESHNESS]
        return any(ms is not None and ms <= well_within_ms for ms in waits_ms)

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

    def _write_steps(self) -> None:
        """Leave every step that was tried."""
        folder = Path(self.settings.results_dir)
        folder.mkdir(parents=True, exist_ok=True)
        data = msgspec.json.format(msgspec.json.encode(self.search.steps), indent=2)
        (folder / STEPS).write_bytes(data + b"\n")


def _hold(users: int, seconds: float) -> Iterator[int]:
    """Yield so many users for so long, from when all have begun: then Locust asks again."""
    yield users
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        yield users
