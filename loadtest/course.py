"""The course of a run, on Locust's events: progress meanwhile, the verdict at its end.

Each process tallies what was due; the one that leads adds up what the others report.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gevent
from locust.env import Environment
from locust.event import Events
from locust.runners import STATE_RUNNING, STATE_SPAWNING, WorkerRunner
from locust.stats import RequestStats, StatsEntry

from loadtest.objectives import SHIPPED, Measured, Operation, judge, read_objectives
from loadtest.pace import Tally, rate_percent
from loadtest.settings import LoadtestSettings
from loadtest.verdict import print_verdict, write_verdict

_MET, _MISSED = 0, 1


class Course:
    """One run in this process: leading it, working for one that leads, or all alone."""

    def __init__(self, settings: LoadtestSettings, tally: Tally) -> None:
        self._settings = settings
        self._tally = tally
        self._began = time.monotonic()
        # What the workers last reported, by their ids: due and done.
        self._reported: dict[str, tuple[float, int]] = {}

    def listen(self, events: Events) -> None:
        """Take part in what Locust does."""
        events.init.add_listener(self._on_init)
        events.test_start.add_listener(self._on_start)
        events.report_to_master.add_listener(self._on_report_to_master)
        events.worker_report.add_listener(self._on_worker_report)
        events.quitting.add_listener(self._on_quitting)

    def _on_init(self, environment: Environment, **_: Any) -> None:
        if not isinstance(environment.runner, WorkerRunner):
            gevent.spawn(self._tell, environment)

    def _on_start(self, **_: Any) -> None:
        self._began = time.monotonic()

    def _on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        data["pace"] = (self._tally.due, self._tally.done)

    def _on_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        due, done = data["pace"]
        self._reported[client_id] = due, done

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        if isinstance(environment.runner, WorkerRunner):
            environment.process_exit_code = _MET
            return
        if _is_under_way(environment):
            _say("the run is cut short")
        objectives = read_objectives(Path(self._settings.objectives or SHIPPED))
        judged = judge(objectives, self._measured(environment.stats))
        folder = Path(self._settings.results_dir)
        write_verdict(judged, folder)
        print_verdict(judged, folder)
        environment.process_exit_code = _MET if all(one.met for one in judged) else _MISSED

    def _measured(self, stats: RequestStats) -> Measured:
        return Measured([_operation(entry) for entry in stats.entries.values()], self._rate())

    def _rate(self) -> float | None:
        pairs = [(self._tally.due, self._tally.done), *self._reported.values()]
        return rate_percent(sum(due for due, _ in pairs), sum(done for _, done in pairs))

    def _tell(self, environment: Environment) -> None:
        while True:
            gevent.sleep(self._settings.progress_seconds)
            if _is_under_way(environment):
                _say(self._line(environment))

    def _line(self, environment: Environment) -> str:
        runner, total = environment.runner, environment.stats.total
        assert runner is not None
        elapsed = time.monotonic() - self._began
        rate = self._rate()
        held = "" if rate is None else f"{rate:.0f} % of its rate · "
        return (
            f"{elapsed:.0f} of {self._settings.duration_seconds} s · {runner.user_count} users · "
            f"{total.current_rps:.0f}/s · {held}{total.num_failures:,} failed · "
            f"p95 {total.get_current_response_time_percentile(0.95) or 0} ms"
        )


def _is_under_way(environment: Environment) -> bool:
    runner = environment.runner
    return runner is not None and runner.state in (STATE_RUNNING, STATE_SPAWNING)


def _operation(entry: StatsEntry) -> Operation:
    percentile: Callable[[float], int] = entry.get_response_time_percentile
    return Operation(
        entry.name, entry.num_requests, entry.num_failures, percentile(0.95), percentile(0.99)
    )


def _say(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)
