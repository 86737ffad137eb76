"""The quick rows of the fault table, and that the table notices a broken promise.

`make faults` runs all of it, at the full rate and on InfluxDB.
"""

from pathlib import Path

import pytest

from stack.faults import rows
from stack.faults.case import CASES, QUICK, Trial
from stack.faults.running import run_case
from tests.fleets import VOID

rows.register()


def run_quickly(number: int, folder: Path, module: str = "ingest") -> Trial:
    for _try in range(2):
        trial, _seconds = run_case(CASES[number], folder, quick=True, ingest_module=module)
        print((folder / "seen.txt").read_text())
        if not any(VOID in reason for reason in trial.reasons()):
            break
    return trial


@pytest.mark.parametrize("number", QUICK, ids=lambda number: f"row {number}")
def test_nothing_acknowledged_is_lost_under_a_fault(number: int, tmp_path: Path) -> None:
    trial = run_quickly(number, tmp_path / "row")

    assert trial.fault_seen
    assert not trial.reasons()


def test_an_ingest_that_acknowledges_before_the_write_fails_row_1(tmp_path: Path) -> None:
    trial = run_quickly(1, tmp_path / "row", "tests.e2e.early_acknowledgement")

    assert trial.fault_seen
    assert trial.lost > 0
    assert not trial.passed
