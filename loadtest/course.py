"""The course of a run, on Locust's events: progress meanwhile, the verdict at its end.

Each process tallies what was due and audits what it sent; the one that leads adds up what the
others report.
"""

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gevent
import locust.stats
import msgspec
from locust.env import Environment
from locust.event import Events
from locust.rpc import Message
from locust.runners import (
    STATE_RUNNING,
    STATE_SPAWNING,
    LocalRunner,
    MasterRunner,
    Runner,
    WorkerRunner,
)
from msgspec import Struct

from loadtest.asking import Asker
from loadtest.auditing import Counted, add, audit_through
from loadtest.devices import Devices, Place
from loadtest.limit import LimitLoad
from loadtest.load import Load
from loadtest.marks import run_mark, stage_marks, write_marks
from loadtest.objectives import (
    SHIPPED,
    Judged,
    Measured,
    judge,
    judge_limit,
    read_objectives,
)
from loadtest.pace import Tally, rate_percent
from loadtest.reporting import FigureReports
from loadtest.settings import LoadtestSettings
from loadtest.verdict import print_verdict, write_verdict
from loadtest.window import operations
from telemetry.ledger import read_ledger

_MET, _MISSED = 0, 1
_REPORT_SECONDS = 10.0  # what workers may take to report, beside their audits
_LOOK_SECONDS = 0.2
_NEVER_SECONDS, _LAST_TABLE_SECONDS = 86_400, 1.1


class Report(Struct):
    """What a process has to say of its part; `audited` is None until it has ended."""

    pace: dict[str, tuple[float, float]]
    audited: Counted | None = None


class Course:
    """One run in this process: leading it, working for one that leads, or all alone."""

    def __init__(
        self, settings: LoadtestSettings, tallies: Mapping[str, Tally], devices: Devices
    ) -> None:
        self._settings = settings
        self._tallies = tallies
        self._devices = devices
        self._audited: Counted | None = None
        self._began_s = self._ended_s = 0.0
        self._began_ms = 0
        self._all_met = False
        # What the workers last reported, by their ids.
        self._reported: dict[str, Report] = {}
        self._figures: FigureReports | None = None

    def listen(self, events: Events) -> None:
        """Take part in what Locust does."""
        events.init.add_listener(self._on_init)
        events.test_start.add_listener(self._on_start)
        events.test_stopping.add_listener(self._on_stopping)
        events.test_stop.add_listener(self._on_stop)
        events.report_to_master.add_listener(self._on_report_to_master)
        events.worker_report.add_listener(self._on_worker_report)
        events.quitting.add_listener(self._on_quitting)

    def _on_init(self, environment: Environment, **_: Any) -> None:
        if isinstance(environment.runner, WorkerRunner):
            # Ctrl-C reaches workers on this machine as well; who leads tells them what to do.
            gevent.signal_handler(signal.SIGINT, self._end_in_time)
            return
        gevent.spawn(self._tell, environment)
        if _is_headless(environment):
            # Locust's own handlers come only after a shape has ended by itself.
            for number in (signal.SIGTERM, signal.SIGINT):
                gevent.signal_handler(number, self._cut_short, environment)

    def _cut_short(self, environment: Environment) -> None:
        _say("the run is cut short")
        assert isinstance(environment.shape_class, Load)
        environment.shape_class.is_cut_short = True

    def _end_in_time(self) -> None:
        gevent.spawn_later(self._settings.settle_seconds + _REPORT_SECONDS, os._exit, _MISSED)

    def _on_start(self, environment: Environment, **_: Any) -> None:
        self._audited = None
        self._reported.clear()
        for tally in self._tallies.values():
            tally.reset()
        self._began_ms = time.time_ns() // 1_000_000
        shape = environment.shape_class
        self._began_s = shape.start_time if shape else time.perf_counter()
        runner = environment.runner
        if not isinstance(runner, WorkerRunner):
            self._figures = FigureReports(self._settings, environment)
            self._figures.begin()
        if isinstance(runner, LocalRunner | WorkerRunner):
            index = runner.worker_index if self._settings.processes else 0
            self._devices.begin(Place(self._settings.slot, index, max(1, self._settings.processes)))

    def _on_stopping(self, **_: Any) -> None:
        self._ended_s = time.perf_counter()

    def _on_stop(self, environment: Environment, **_: Any) -> None:
        """Audit, every user having stopped; who leads waits for those who work."""
        runner = environment.runner
        if isinstance(runner, MasterRunner):
            self._await_audits(runner, is_last=_is_headless(environment))
        else:
            self._audited = self._audit()
        if not isinstance(runner, WorkerRunner) and not _is_headless(environment):
            # On a page another run may follow.
            self._conclude(environment)

    def _await_audits(self, runner: MasterRunner, *, is_last: bool) -> None:
        if is_last:
            # Locust would say so only after this, and would not wait for an audit.
            for client in runner.clients.all:
                runner.server.send_to_client(Message("quit", None, client.id))
        deadline_s = time.monotonic() + self._settings.settle_seconds + _REPORT_SECONDS
        while time.monotonic() < deadline_s:
            if all(report.audited is not None for report in self._reported.values()):
                return
            gevent.sleep(_LOOK_SECONDS)

    def _audit(self) -> Counted:
        told = self._settings
        if not told.publishers + told.freshness or self._devices.path is None:
            return Counted()
        self._devices.end()
        asker = Asker(self._settings)
        deadline_s = time.monotonic() + self._settings.settle_seconds
        try:
            ledger = read_ledger([self._devices.path])
            return audit_through(asker, ledger, deadline_s, gevent.sleep)
        finally:
            asker.close()

    def _on_report_to_master(self, data: dict[str, Any], **_: Any) -> None:
        data["denyut"] = msgspec.json.encode(self._report())

    def _on_worker_report(self, client_id: str, data: dict[str, Any], **_: Any) -> None:
        self._reported[client_id] = msgspec.json.decode(data["denyut"], type=Report)

    def _report(self) -> Report:
        pace = {users: (tally.due, tally.done) for users, tally in self._tallies.items()}
        return Report(pace, self._audited)

    def _on_quitting(self, environment: Environment, **_: Any) -> None:
        runner = environment.runner
        if isinstance(runner, WorkerRunner):
            environment.process_exit_code = _MET
            return
        if not self._began_ms:
            return  # nobody began a run
        if _is_under_way(environment):
            _stop(runner)
        if _is_headless(environment):
            self._conclude(environment)
        environment.process_exit_code = _MET if self._all_met else _MISSED
        # Locust closes its tables and goes on writing to them while its workers end.
        locust.stats.CSV_STATS_INTERVAL_SEC = _NEVER_SECONDS
        gevent.sleep(_LAST_TABLE_SECONDS)

    def _conclude(self, environment: Environment) -> None:
        """Judge the run, and leave what came of it."""
        if self._figures is not None:
            self._figures.end()
        measured = self._measured(environment)
        judged = self._judged(environment, measured)
        self._all_met = all(one.met for one in judged)
        folder, now_ms = Path(self._settings.results_dir), time.time_ns() // 1_000_000
        shape = environment.shape_class
        steps = shape.search.steps if isinstance(shape, LimitLoad) else []
        write_verdict(judged, measured, folder, steps)
        stages = shape.stages if isinstance(shape, Load) else []
        marks = [run_mark(judged, self._began_ms, now_ms), *stage_marks(stages, now_ms)]
        write_marks(marks, folder)
        print_verdict(judged, measured, folder)

    def _judged(self, environment: Environment, measured: Measured) -> list[Judged]:
        told = self._settings
        if isinstance(environment.shape_class, LimitLoad):
            # Its objectives are missed on purpose: what counts is where.
            knee = environment.shape_class.search.held
            reached = knee.per_second if knee else None
            return judge_limit(told.limit_at_least, reached, measured)
        objectives = read_objectives(Path(told.objectives or SHIPPED))
        return judge(objectives, measured, seconds=told.duration_seconds)

    def _measured(self, environment: Environment) -> Measured:
        reports = self._reports()
        audited = [report.audited or Counted(why="a process did not report") for report in reports]
        counted = add(audited)
        if counted.why:
            _say(f"the audit is void: {counted.why}")
        return Measured(
            operations(environment.stats),
            self._rate(),
            self._ended_s - self._began_s,
            None if counted.why else counted.lost,
            self._settings.taking_part,
        )

    def _reports(self) -> list[Report]:
        return list(self._reported.values()) or [self._report()]

    def _rate(self) -> float | None:
        """Return which part of its load the kind of users made that made the least."""
        rates = []
        for users in self._tallies:
            pairs = [report.pace[users] for report in self._reports()]
            rates.append(rate_percent(sum(due for due, _ in pairs), sum(done for _, done in pairs)))
        return min((rate for rate in rates if rate is not None), default=None)

    def _tell(self, environment: Environment) -> None:
        while True:
            gevent.sleep(self._settings.progress_seconds)
            if _is_under_way(environment):
                _say(self._line(environment))

    def _line(self, environment: Environment) -> str:
        runner, total = environment.runner, environment.stats.total
        assert runner is not None
        elapsed = time.perf_counter() - self._began_s
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


def _is_headless(environment: Environment) -> bool:
    options = environment.parsed_options
    return options is not None and bool(options.headless)


def _stop(runner: Runner | None) -> None:
    if isinstance(runner, MasterRunner):
        runner.stop(send_stop_to_client=False)
    elif runner is not None:
        runner.stop()


def _say(text: str) -> None:
    print(f"· {text}", file=sys.stderr, flush=True)
