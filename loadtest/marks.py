"""Marks for Grafana: what of a run is to be seen in every dashboard, as its HTTP API takes them."""

from pathlib import Path

import msgspec
from msgspec import Struct

from loadtest.objectives import Judged
from loadtest.results import MARKS

_TAGS = ["denyut", "loadtest"]
_MOST_TEXT = 1_000


class Mark(Struct, frozen=True, rename="camel"):
    """An annotation, by the names of `POST /api/annotations`; times are ms since the epoch."""

    time: int
    time_end: int
    tags: list[str]
    text: str


def stage_mark(text: str, began_ms: int, ended_ms: int) -> Mark:
    """Return the mark of one stage of a run."""
    return Mark(began_ms, ended_ms, [*_TAGS, "stage"], text)


def stage_marks(stages: list[tuple[str, int]], ended_ms: int) -> list[Mark]:
    """Return a mark for each stage, where there is more than one."""
    if len(stages) <= 1:
        return []
    ends = [began_ms for _name, began_ms in stages[1:]] + [ended_ms]
    return [
        stage_mark(f"load test: {name}", began_ms, end_ms)
        for (name, began_ms), end_ms in zip(stages, ends, strict=True)
    ]


def run_mark(judged: list[Judged], began_ms: int, ended_ms: int) -> Mark:
    """Return the mark of a whole run, with what it missed."""
    missed = [f"{one.objective} {one.target:g}: {one.result}" for one in judged if not one.met]
    word = "; ".join(missed) if missed else "every objective met"
    return Mark(
        began_ms,
        ended_ms,
        [*_TAGS, "missed" if missed else "met"],
        f"load test: {word}"[:_MOST_TEXT],
    )


def write_marks(marks: list[Mark], folder: Path) -> None:
    """Leave the marks in a folder."""
    data = msgspec.json.format(msgspec.json.encode(marks), indent=2)
    (folder / MARKS).write_bytes(data + b"\n")
