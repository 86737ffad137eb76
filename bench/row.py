"""One measured figure and what it was to reach."""

from collections.abc import Callable, Iterator

from msgspec import Struct
from rich.console import Console

console = Console()
"""Where a measurement says more than a row holds."""


class Row(Struct, frozen=True):
    """A line of `build/bench.json`; `ratio` is ours to the baseline, where there is one.

    `target` says in words what was asked; `reached` whether it was met in this run.
    """

    name: str
    ours: float | None
    baseline: float | None
    ratio: float | None
    target: str
    reached: bool
    issue: int


def at_most(name: str, ours: float, limit: float, unit: str, *, issue: int) -> Row:
    """Return the row of a figure that must not pass a limit."""
    return Row(name, round(ours, 2), None, None, f"<= {limit:g} {unit}", ours <= limit, issue)


def at_least(name: str, ours: float, limit: float, unit: str, *, issue: int) -> Row:
    """Return the row of a figure that must reach a limit."""
    return Row(name, round(ours, 2), None, None, f">= {limit:g} {unit}", ours >= limit, issue)


Measurement = Callable[[], Iterator[Row]]
"""Measures one thing and yields its rows; raises StackError where the run is void."""
