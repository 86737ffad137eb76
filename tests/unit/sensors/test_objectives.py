"""Objectives held against results, and what makes a run void."""

import msgspec
import pytest
from rich.console import Console

from sensors.counters import Counters
from sensors.course import RunPlan
from sensors.fleet import Fleet
from sensors.objectives import Objectives
from sensors.report import Report, make_report, report_table


def report(
    *,
    objectives: Objectives = Objectives(),  # noqa: B008  frozen
    plan: RunPlan = RunPlan(),  # noqa: B008
    late_ms: tuple[float, ...] = (1.0,) * 100,
    missed: int = 0,
    connects: int = 1,
    answered: int = 100,
) -> Report:
    counters = Counters()
    for one in late_ms:
        counters.lateness.record(one)
    counters.connects = connects
    counters.connect_failures["refused"] = 7
    counters.offered[1] = len(late_ms)
    counters.acknowledged[1] = len(late_ms) - 1 if answered else 0
    for wait_ms in range(answered):
        counters.acknowledgements[1].record(wait_ms)
    fleet = Fleet("f", 1, [], plan, [], objectives)
    return make_report(
        fleet, counters, unfinished=[0, 1, 0], boot_ms=1, seconds=10.0, stages=[], missed=missed
    )


def test_without_objectives_a_run_that_kept_up_is_good() -> None:
    assert report().exit_code == 0
    assert report().verdicts == []


@pytest.mark.parametrize(
    ("objectives", "met"),
    [
        (Objectives(acknowledged_share=0.99), True),
        (Objectives(acknowledged_share=1.0), False),
        (Objectives(acknowledgement_p99_ms=100), True),
        (Objectives(acknowledgement_p99_ms=90), False),
        (Objectives(readings_per_s=10), True),
        (Objectives(readings_per_s=11), False),
        (Objectives(refused=0, dropped=0, lost_connections=0, late_share=0.0), True),
        (Objectives(lateness_p99_ms=1), False),
    ],
)
def test_an_objective_is_met_or_missed_and_the_exit_code_says_so(
    objectives: Objectives, met: bool
) -> None:
    judged = report(objectives=objectives)
    assert all(verdict.met for verdict in judged.verdicts) == met
    assert judged.exit_code == (0 if met else 1)
    assert msgspec.json.decode(msgspec.json.encode(judged))["verdicts"]


def test_what_was_not_measured_was_not_met() -> None:
    objectives = Objectives(acknowledgement_p99_ms=500)
    judged = report(objectives=objectives, answered=0)
    assert [(one.result, one.met) for one in judged.verdicts] == [(None, False)]
    assert judged.exit_code == 1
    nothing = report(objectives=Objectives(acknowledged_share=0.5), late_ms=(), answered=0)
    assert nothing.exit_code == 1


def test_tables_say_where_there_was_nothing_to_measure() -> None:
    console = Console(width=120)
    with console.capture() as shown:
        judged = report(objectives=Objectives(acknowledgement_p99_ms=500), answered=0)
        console.print(report_table(judged))
    assert "not measured" in shown.get()
    assert "0 ms" not in shown.get().partition("made p50")[0]


def test_a_run_that_was_late_too_often_is_void_whatever_else_it_reached() -> None:
    late = (1.0,) * 94 + (1500.0,) * 6
    judged = report(objectives=Objectives(refused=0), late_ms=late)
    assert judged.exit_code == 3
    assert judged.void is not None
    assert judged.void.startswith("6.0% of the readings were due and left over 1000 ms late")
    assert report(late_ms=late, plan=RunPlan(late_share=0.06)).void is None
    assert report(late_ms=(20.0,) * 100, plan=RunPlan(late_ms=10)).void is not None


def test_a_run_without_a_single_connection_is_void_and_says_why() -> None:
    void = report(connects=0).void
    assert void is not None
    assert void.startswith("no device ever had a connection")
    assert void.endswith("attempts: refused 7")
    assert report(connects=0, late_ms=()).void is None


def test_readings_that_were_never_made_count_as_late() -> None:
    assert report(missed=5).void is None
    assert report(missed=6).void is not None
