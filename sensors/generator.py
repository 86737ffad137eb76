"""The open loop of a run: asks the schedule who is due, stage by stage, until there is an end."""

import asyncio

from msgspec import Struct

from sensors.counters import Counters, Lateness
from sensors.course import Course
from sensors.fleet import Fleet
from sensors.handover import Handover
from sensors.schedule import Clock, Schedule

_TICK_SECONDS = 0.002
_BATCH = 200
_MS_PER_SECOND = 1000


class StageReport(Struct, frozen=True):
    """What came of one stage, in readings; `late` over 10 ms after they were due.

    `late_p99_ms` is how late 99 % of them were made at most.
    """

    name: str
    rate: float
    seconds: float
    offered: int
    acknowledged: int
    late: int
    late_p99_ms: int


class _Begun(Struct, frozen=True):
    """What was counted when a stage began."""

    elapsed_ms: float
    offered: int
    acknowledged: int
    lateness: Lateness


class Generator:
    """Makes a fleet's readings due; make it when readings begin."""

    def __init__(
        self,
        fleet: Fleet,
        periods_ms: list[int],
        handover: Handover,
        counters: Counters,
        clock: Clock,
    ) -> None:
        self._fleet = fleet
        self._handover = handover
        self._counters = counters
        self._clock = clock
        self._course = Course(fleet.stages)
        self._stage = 0
        self._stage_began = self._begun(0.0)
        self.began_ms = int(clock.now_ms())
        self.stages: list[StageReport] = []
        self._schedule = Schedule(
            self.began_ms,
            zip((device.spread_ms for device in fleet.devices), periods_ms, strict=True),
            [device.habits.jitter_ms for device in fleet.devices],
            fleet.seed,
        )

    @property
    def seconds(self) -> float | None:
        """How long the stages take together; None without any."""
        return self._course.seconds

    @property
    def stage(self) -> str | None:
        """The name of the stage that the run is in; None without any."""
        return self._name_of(self._stage) if self._fleet.stages else None

    def set_period(self, place: int, period_ms: int) -> None:
        """Give a device another period from now on."""
        self._schedule.set_period(place, period_ms, self._fleet_now_ms())

    async def generate(self) -> None:
        """Hand over what is due, until cancelled or until there were enough readings."""
        schedule, handover, staged = self._schedule, self._handover, bool(self._fleet.stages)
        most = self._fleet.run.readings
        while most is None or sum(self._counters.offered) < most:
            due = schedule.take(self._fleet_now_ms(), _BATCH)
            if staged:
                self._note_stage()
                due = [(place, self._real_ms(due_ms)) for place, due_ms in due]
            if due:
                handover.offer(due)
            wait_seconds = self._wait_seconds(schedule.next_due_ms)
            await asyncio.sleep(max(wait_seconds, _TICK_SECONDS) if wait_seconds > 0 else 0)

    def end(self) -> int:
        """Close the last stage; return how many readings were due and never made.

        What was due within the last moments is not among them.
        """
        if self._fleet.stages:
            self._close_stage(self._elapsed_ms())
        grace_ms = self._fleet.run.late_ms
        return self._schedule.overdue(self._fleet_now_ms() - grace_ms)

    def _elapsed_ms(self) -> float:
        return self._clock.now_ms() - self.began_ms

    def _fleet_now_ms(self) -> float:
        if not self._fleet.stages:
            return self._clock.now_ms()
        return self.began_ms + self._course.fleet_ms(self._elapsed_ms())

    def _real_ms(self, fleet_ms: float) -> int:
        return self.began_ms + int(self._course.real_ms(fleet_ms - self.began_ms))

    def _wait_seconds(self, fleet_ms: int) -> float:
        if not self._fleet.stages:
            return (fleet_ms - self._clock.now_ms()) / _MS_PER_SECOND
        # In a pause nothing says when the next one is due: a look now and then will.
        wait_ms = self._real_ms(fleet_ms) - self._clock.now_ms()
        return min(max(wait_ms, _TICK_SECONDS), 100.0) / _MS_PER_SECOND

    def _name_of(self, stage: int) -> str:
        return self._fleet.stages[stage].name or f"stage {stage + 1}"

    def _note_stage(self) -> None:
        elapsed_ms = self._elapsed_ms()
        if self._course.stage_at(elapsed_ms) != self._stage:
            self._close_stage(elapsed_ms)
            self._stage = self._course.stage_at(elapsed_ms)

    def _close_stage(self, elapsed_ms: float) -> None:
        before, now = self._stage_began, self._begun(elapsed_ms)
        self._stage_began = now
        self.stages.append(
            StageReport(
                self._name_of(self._stage),
                self._fleet.stages[self._stage].rate,
                round((now.elapsed_ms - before.elapsed_ms) / _MS_PER_SECOND, 3),
                now.offered - before.offered,
                now.acknowledged - before.acknowledged,
                now.lateness.late_readings - before.lateness.late_readings,
                now.lateness.percentile_ms(99, since=before.lateness),
            )
        )

    def _begun(self, elapsed_ms: float) -> _Begun:
        counters = self._counters
        return _Begun(
            elapsed_ms,
            sum(counters.offered),
            sum(counters.acknowledged),
            counters.lateness.copy(),
        )
