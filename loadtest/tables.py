"""What came of a run as tables of text, for a terminal and for a page alike."""

from collections.abc import Sequence

from msgspec import Struct

from loadtest.objectives import Judged, Measured, Operation
from loadtest.search import Step

_EXACT_BELOW_MS = 10


class Row(Struct, frozen=True):
    """A row: its cells, and whether it is one that a person should look at."""

    cells: tuple[str, ...]
    is_bad: bool


class Table(Struct, frozen=True):
    """A table: what stands above its columns, and its rows."""

    headings: tuple[str, ...]
    rows: list[Row]


def conclusion(judged: list[Judged]) -> str:
    """Return the verdict in one line."""
    missed = sum(not one.met for one in judged)
    if not missed:
        return "every objective was met"
    return "1 objective was missed" if missed == 1 else f"{missed} objectives were missed"


def operations_table(measured: Measured) -> Table:
    """Return what was done, how often and how fast."""
    headings = ("operation", "requests", "failed", "per s", "p50 ms", "p95 ms", "p99 ms")
    found = sorted(measured.operations, key=lambda operation: operation.name)
    return Table(headings, [_operation(one, measured.seconds) for one in found])


def objectives_table(judged: list[Judged]) -> Table:
    """Return each objective and what came of it."""
    return Table(("objective", "target", "result", "met"), [_objective(one) for one in judged])


def steps_table(steps: Sequence[Step]) -> Table:
    """Return what a search for the limit tried, and why it was not held."""
    headings = ("step", "users", "per s", "held")
    return Table(headings, [_step(number, one) for number, one in enumerate(steps, 1)])


def _step(number: int, one: Step) -> Row:
    name = f"{number}: {one.why}" if one.why else str(number)
    cells = (name, f"{one.users:,}", f"{one.per_second:,.0f}", "yes" if one.held else "no")
    return Row(cells, is_bad=not one.held)


def _operation(one: Operation, seconds: float) -> Row:
    per_second = one.requests / seconds if seconds else 0.0
    times = map(_milliseconds, (one.p50_ms, one.p95_ms, one.p99_ms))
    counts = (f"{one.requests:,}", f"{one.failures:,}", f"{per_second:,.1f}")
    return Row((one.name, *counts, *times), is_bad=one.failures > 0)


def _objective(one: Judged) -> Row:
    result = "not measured" if one.result is None else f"{one.result:g}"
    cells = (one.objective, f"{one.target:g}", result, "yes" if one.met else "no")
    return Row(cells, is_bad=not one.met)


def _milliseconds(ms: float | None) -> str:
    if ms is None:
        return "-"
    return f"{ms:,.0f}" if ms >= _EXACT_BELOW_MS else f"{ms:.1f}"
