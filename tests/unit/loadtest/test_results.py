"""What an earlier run has left, when the next one begins."""

from pathlib import Path

import pytest

from loadtest import LoadtestError
from loadtest.objectives import Judged, Measured, Operation
from loadtest.results import clear_results
from loadtest.search import Step
from loadtest.verdict import write_verdict


def test_nothing_of_an_earlier_run_is_taken_for_this_one(tmp_path: Path) -> None:
    left = ["verdict.json", "limit.json", "annotations.json", "report.html", "stats_failures.csv"]
    left += ["stats.json", "ledger/load-1-0-7.ledger"]
    for name in (*left, "notes.csv", "logs/ingest-1.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("earlier")

    clear_results(tmp_path)

    assert not [name for name in left if (tmp_path / name).exists()]
    assert (tmp_path / "notes.csv").exists()
    assert (tmp_path / "logs/ingest-1.log").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(LoadtestError, match=r"LOADTEST_RESULTS_DIR='.*/file/x': .*: Not a dir"):
        clear_results(tmp_path / "file" / "x")


def test_the_verdict_is_a_page_as_well(tmp_path: Path) -> None:
    measured = Measured([Operation("latest", "readers", 1_200, 0, 3, 20.5, None)], 100, 60)

    write_verdict([Judged("latest p95_ms, at most", 100, 20.5, met=True)], measured, tmp_path)

    page = (tmp_path / "verdict.html").read_text()
    for word in ("latest p95_ms, at most", "1,200", "20.5", "every objective was met", "60 s"):
        assert word in page


def test_the_name_of_an_operation_is_text_on_the_page_whatever_it_holds(tmp_path: Path) -> None:
    odd = Judged("<b>&</b> p95_ms, at most", 100, None, met=False)

    write_verdict([odd], Measured([], None, 60), tmp_path)

    page = (tmp_path / "verdict.html").read_text()
    assert "&lt;b&gt;&amp;&lt;/b&gt; p95_ms" in page
    assert "<b>" not in page


def test_a_search_shows_its_steps_and_why_one_was_not_held(tmp_path: Path) -> None:
    steps = [Step(10, True, 98.4, ""), Step(20, False, 120, "latest p95_ms, at most 100: 180")]

    write_verdict([], Measured([], None, 60), tmp_path, steps)

    page = (tmp_path / "verdict.html").read_text()
    assert "<td>10</td><td>98</td><td>yes</td>" in page
    assert "2: latest p95_ms, at most 100: 180" in page
