"""What makes a case pass, and what does not."""

from pathlib import Path

import pytest
import typer

from stack.faults import rows
from stack.faults.__main__ import _chosen
from stack.faults.case import CASES, QUICK, Case, Trial
from stack.faults.running import run_case
from telemetry.audit import QOS_LEVELS, AuditReport, QosReport


def report(**counts: int) -> AuditReport:
    """An audit that found this at QoS 1."""
    levels = {level: QosReport() for level in QOS_LEVELS}
    for name, count in counts.items():
        setattr(levels[1], name, count)
    return AuditReport(levels, QosReport())


def good_trial(folder: Path) -> Trial:
    trial = Trial(folder=folder)
    trial.fault(True, "it broke")
    trial.must(True, "it was back")
    trial.audited(report())
    return trial


def test_a_proven_fault_with_a_clean_audit_passes(tmp_path: Path) -> None:
    assert good_trial(tmp_path).passed


def test_a_fault_that_nothing_proved_does_not_pass(tmp_path: Path) -> None:
    trial = Trial(folder=tmp_path)
    trial.audited(report())

    assert not trial.fault_seen
    assert not trial.passed


def test_one_proof_that_failed_voids_the_case(tmp_path: Path) -> None:
    trial = good_trial(tmp_path)
    trial.fault(0, "nothing was in flight")

    assert not trial.fault_seen
    assert trial.reasons() == ["not proven: nothing was in flight"]


def test_what_must_be_seen_and_was_not_fails_the_case(tmp_path: Path) -> None:
    trial = good_trial(tmp_path)
    trial.must(False, "back after 11 s (10 s allowed)")

    assert trial.fault_seen
    assert trial.reasons() == ["back after 11 s (10 s allowed)"]


def test_a_case_without_an_audit_does_not_pass(tmp_path: Path) -> None:
    trial = Trial(folder=tmp_path)
    trial.fault(True, "it broke")

    assert trial.reasons() == ["there was no audit"]


@pytest.mark.parametrize("finding", ["lost", "duplicated", "phantom", "moved", "overwritten"])
def test_anything_that_the_audit_finds_fails_the_case(finding: str, tmp_path: Path) -> None:
    trial = good_trial(tmp_path)
    trial.audited(report(**{finding: 3}))

    assert not trial.passed


def test_a_loss_within_its_documented_bound_passes_and_one_beyond_does_not(tmp_path: Path) -> None:
    within, beyond = good_trial(tmp_path), good_trial(tmp_path)
    for trial, lost in ((within, 10), (beyond, 11)):
        trial.allow_lost(10, "not saved yet")
        trial.audited(report(lost=lost))

    assert within.passed
    assert beyond.reasons() == ["11 acknowledged readings are lost"]


def test_a_case_that_breaks_off_fails_with_its_reason_and_leaves_what_it_saw(
    tmp_path: Path,
) -> None:
    def breaks_off(trial: Trial) -> None:
        trial.fault(True, "it broke")
        raise OSError("no such disk")

    trial, _seconds = run_case(Case(99, "breaks off", breaks_off), tmp_path / "row")

    assert "the case broke off: no such disk" in trial.reasons()
    assert "no such disk" in (tmp_path / "row" / "seen.txt").read_text()


def test_the_table_has_every_row_on_devices_broker_ingest_and_store() -> None:
    rows.register()

    assert {*range(1, 25), *range(28, 32)} <= set(CASES)
    assert set(QUICK) <= set(CASES)


@pytest.mark.parametrize(
    ("text", "numbers"), [("1,3", [1, 3]), ("8-10", [8, 9, 10]), ("3,1-3", [3, 1, 2])]
)
def test_rows_are_chosen_by_number_and_span(text: str, numbers: list[int]) -> None:
    rows.register()

    assert [case.number for case in _chosen(text, quick=False)] == numbers


@pytest.mark.parametrize("text", ["99", "one", "1-", "-3", "3,,4", ","])
def test_a_row_that_is_none_is_refused(text: str) -> None:
    rows.register()

    with pytest.raises(typer.BadParameter):
        _chosen(text, quick=False)
