"""Runs in turn, A B A B …, so that what else the machine does strikes both alike; their medians."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

from bench.row import Row, console
from stack import StackError

_TRIES = 3
_ISSUE = 11

Result = TypeVar("Result")


def interleaved(pairs: int, *runs: Callable[[], Result]) -> list[list[Result]]:
    """Run each in turn, so often; a run that does not count is tried again, at most twice."""
    found: list[list[Result]] = [[] for _ in runs]
    for _ in range(pairs):
        for results, run in zip(found, runs, strict=True):
            results.append(_that_counts(run))
    return found


def at_most_times(
    name: str, ours: Sequence[float], theirs: Sequence[float] | None, most: float, missing: str = ""
) -> Row:
    """Return the row of a figure that must be at most so many times the baseline's."""
    return _compared(name, ours, theirs, f"<= {most:g} times", lambda ratio: ratio <= most, missing)


def at_least_times(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float] | None,
    least: float,
    missing: str = "",
) -> Row:
    """Return the row of a figure that must be at least so many times the baseline's."""
    return _compared(
        name, ours, theirs, f">= {least:g} times", lambda ratio: ratio >= least, missing
    )


def _that_counts(run: Callable[[], Result]) -> Result:
    for number in range(1, _TRIES + 1):
        try:
            return run()
        except StackError as error:
            if number == _TRIES:
                raise
            console.print(f"{error}: run again", style="dim")
    raise AssertionError


def _compared(
    name: str,
    ours: Sequence[float],
    theirs: Sequence[float] | None,
    target: str,
    is_reached: Callable[[float], bool],
    missing: str,
) -> Row:
    mine = median(ours)
    if not theirs:
        console.print(f"{name}: {_range(ours)}", style="dim")
        return Row(name, round(mine, 2), None, None, f"{target}: {missing}", False, _ISSUE)
    baseline = median(theirs)
    ratio = mine / baseline
    console.print(f"{name}: {_range(ours)} against {_range(theirs)}", style="dim")
    reached = is_reached(ratio)
    return Row(name, round(mine, 2), round(baseline, 2), round(ratio, 3), target, reached, _ISSUE)


def _range(results: Sequence[float]) -> str:
    """Return the median, and from what to what the results go."""
    return f"{median(results):,.2f} ({min(results):,.2f} to {max(results):,.2f})"
