"""Objectives: what a file may say, and when a run has met them."""

from pathlib import Path

import pytest

from loadtest import ObjectivesError
from loadtest.objectives import SHIPPED, Judged, Measured, Operation, judge, read_objectives

LATEST = Operation("latest", "readers", requests=1_000, failures=0, p50_ms=9, p95_ms=20, p99_ms=45)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "objectives.toml"
    path.write_text(text)
    return path


def judged(tmp_path: Path, text: str, *operations: Operation, rate: float | None = 100) -> Judged:
    """Return what becomes of the one objective of a file."""
    found = read_objectives(written(tmp_path, f"[[objectives]]\n{text}"))
    return judge(found, Measured(list(operations), rate, 60), seconds=60)[-1]


def test_those_that_come_along_can_be_read() -> None:
    assert read_objectives(SHIPPED).run.rate_percent >= 90


def test_an_objective_is_met_up_to_its_target(tmp_path: Path) -> None:
    text = 'operation = "latest"\np95_ms = {}'

    assert judged(tmp_path, text.format(20), LATEST).met
    assert not judged(tmp_path, text.format(19.9), LATEST).met


def test_what_was_not_measured_was_not_met(tmp_path: Path) -> None:
    silent = Operation("silent", "readers", requests=0, failures=0, p50_ms=0, p95_ms=0, p99_ms=0)

    for name in ("nothing like it", "silent"):
        found = judged(tmp_path, f'operation = "{name}"\np99_ms = 100', LATEST, silent)
        assert (found.result, found.met) == (None, False)


def test_of_several_operations_the_worst_counts_and_their_failures_add_up(tmp_path: Path) -> None:
    raw = Operation(
        "range raw", "readers", requests=300, failures=3, p50_ms=9, p95_ms=80, p99_ms=90
    )
    mean = Operation(
        "range mean", "readers", requests=100, failures=1, p50_ms=9, p95_ms=30, p99_ms=200
    )

    slow = judged(tmp_path, 'operation = "range*"\np99_ms = 150', raw, mean, LATEST)
    failed = judged(tmp_path, 'operation = "range*"\nfailure_percent = 1', raw, mean, LATEST)

    assert (slow.result, slow.met) == (200, False)
    assert (failed.result, failed.met) == (1.0, True)


def test_an_objective_of_some_users_is_for_what_they_do_alone(tmp_path: Path) -> None:
    published = Operation("publish:qos1", "publishers", 99_000, 0, 1, 2, 3)
    failing = Operation("fleet", "readers", 100, 2, 1, 2, 3)
    text = 'operation = "*"\nusers = "readers"\nfailure_percent = 1'

    found = judged(tmp_path, text, published, failing)

    assert found.objective == "all of readers failure_percent, at most"
    assert (found.result, found.met) == (2, False)


def test_what_is_counted_without_a_time_meets_no_limit_of_time(tmp_path: Path) -> None:
    held = Operation("stream hold", "streams", 12, 0, None, None, None)

    found = judged(tmp_path, 'operation = "stream hold"\np95_ms = 100', held)

    assert (found.result, found.met) == (None, False)


@pytest.mark.parametrize(("rate", "met"), [(95.0, True), (94.9, False), (None, False)])
def test_a_run_that_could_not_hold_its_rate_never_passes(rate: float | None, met: bool) -> None:
    held = by_name(Measured([LATEST], rate, 60))["rate_percent, at least"]

    assert held.met == met


@pytest.mark.parametrize(("seconds", "met"), [(60.2, True), (42, False)])
def test_a_run_that_was_cut_short_never_passes(seconds: float, met: bool) -> None:
    assert by_name(Measured([LATEST], 100, seconds))["seconds, at least"].met == met


@pytest.mark.parametrize(("lost", "met"), [(0, True), (1, False), (None, False)])
def test_nothing_may_be_lost_of_what_was_published(lost: int | None, met: bool) -> None:
    measured = Measured([LATEST], 100, 60, lost, frozenset({"publishers"}))

    assert by_name(measured)["lost, at most"].met == met


def test_objectives_are_for_the_users_that_take_part() -> None:
    readers = by_name(Measured([LATEST], 100, 60))
    publishers = by_name(Measured([LATEST], 100, 60, 0, frozenset({"publishers"})))

    assert not any(name.startswith(("publish", "lost")) for name in readers)
    assert not any(name.startswith("latest") for name in publishers)
    assert "publish:qos[12] p99_ms, at most" in publishers


def by_name(measured: Measured) -> dict[str, Judged]:
    judged = judge(read_objectives(SHIPPED), measured, seconds=60)
    return {one.objective: one for one in judged}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "objectives"),
        ("objectives = []", "objectives: Expected `array` of length >= 1"),
        ("[[objectives]]\np95_ms = 1", "objectives[0]: Object missing required field `operation`"),
        ('[[objectives]]\noperation = "x"', "objectives[0]: sets no p95_ms, p99_ms or"),
        ('[[objectives]]\noperation = "x"\np95_ms = 0', "objectives[0].p95_ms: Expected `float` >"),
        ('[[objectives]]\noperation = "x"\np50_ms = 9', "unknown field `p50_ms`"),
        ("[run]\nrate_percent = 101\n", "objectives"),
        ("[[objectives\n", "line 1"),
    ],
)
def test_a_mistake_is_one_line_with_the_file_and_the_key(
    tmp_path: Path, text: str, said: str
) -> None:
    path = written(tmp_path, text)

    with pytest.raises(ObjectivesError) as caught:
        read_objectives(path)

    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ObjectivesError, match=r"nowhere\.toml: cannot be read: No such file"):
        read_objectives(tmp_path / "nowhere.toml")
