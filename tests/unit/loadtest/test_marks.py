"""Marks for Grafana: the run with what it missed, and its stages where it has several."""

import json
from pathlib import Path

from loadtest.marks import run_mark, stage_marks, write_marks
from loadtest.objectives import Judged

MISSED = Judged("latest p95_ms, at most", 100, 250.0, met=False)


def test_a_run_says_what_it_missed(tmp_path: Path) -> None:
    write_marks([run_mark([MISSED], 1_000, 2_000)], tmp_path)

    assert json.loads((tmp_path / "annotations.json").read_text()) == [
        {
            "time": 1_000,
            "timeEnd": 2_000,
            "tags": ["denyut", "loadtest", "missed"],
            "text": "load test: latest p95_ms, at most 100: 250.0",
        }
    ]


def test_a_text_has_a_limit() -> None:
    assert len(run_mark([MISSED] * 1_000, 1, 2).text) == 1_000


def test_each_stage_ends_where_the_next_begins() -> None:
    found = stage_marks([("before", 1), ("spike", 5), ("after", 8)], 12)

    assert [(one.time, one.time_end) for one in found] == [(1, 5), (5, 8), (8, 12)]
    assert stage_marks([("steady", 1)], 12) == stage_marks([], 12) == []
