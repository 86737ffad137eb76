"""Rates from counters that processes report now and then, and that a restart sets back to 0."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from msgspec import Struct

from telemetry.reading import Reading

LONGEST_RISE_MS = 60_000
"""Two figures further apart than this say nothing about the time between them."""

_PUNCTUAL = 2.5


class Rise(Struct, frozen=True):
    """By how much a counter rose between two reports (start < stop, ms since the epoch)."""

    start_ms: int
    stop_ms: int
    amount: float

    @property
    def per_second(self) -> float:
        """The rise as a rate."""
        return self.amount * 1_000 / (self.stop_ms - self.start_ms)


class History(Struct, frozen=True):
    """Rates per second in steps of time; None where nothing was reported."""

    start_ms: int
    step_ms: int
    rates: dict[str, list[float | None]]


def by_process(figures: Iterable[Reading]) -> dict[str, list[Reading]]:
    """Return the own figures of each process, in order of time."""
    found: dict[str, list[Reading]] = {}
    for reading in sorted(figures, key=lambda one: one.time_ms):
        found.setdefault(reading.device, []).append(reading)
    return found


def rises(figures: Sequence[Reading], field: str) -> list[Rise]:
    """Return the rises of one process's counter.

    A counter that is smaller than before began again at 0: what it shows is what it rose by.
    """
    found = []
    for before, after in pairwise(figures):
        was, now = before.values.get(field, 0.0), after.values.get(field, 0.0)
        if not (isinstance(was, float) and isinstance(now, float)):
            continue
        if 0 < after.time_ms - before.time_ms <= LONGEST_RISE_MS:
            amount = now - was if now >= was else now
            found.append(Rise(before.time_ms, after.time_ms, amount))
    return found


def usual_interval_ms(figures: Sequence[Reading]) -> int:
    """Return how far apart a process's figures lately are; 0 where there are not two."""
    if len(figures) < 2:
        return 0
    return min(figures[-1].time_ms - figures[-2].time_ms, LONGEST_RISE_MS)


def is_reporting(figures: Sequence[Reading], now_ms: int) -> bool:
    """Return whether a process still reports: its last figures are about as recent as usual."""
    usual_ms = usual_interval_ms(figures) or LONGEST_RISE_MS
    return bool(figures) and now_ms - figures[-1].time_ms <= max(_PUNCTUAL * usual_ms, 3_000)


def current_rate(processes: Iterable[Sequence[Reading]], field: str, now_ms: int) -> float | None:
    """Return the rate per second over all processes that still report; None where none does."""
    last = [
        found[-1].per_second
        for figures in processes
        if is_reporting(figures, now_ms) and (found := rises(figures[-2:], field))
    ]
    return sum(last) if last else None


def history(
    processes: Sequence[Sequence[Reading]],
    fields: dict[str, str],
    *,
    start_ms: int,
    now_ms: int,
    step_ms: int,
) -> History:
    """Return the rates of several counters (name → field), added up over the processes.

    It ends where not every reporting process has reported yet, so that the end does not dip.
    """
    start_ms -= start_ms % step_ms
    reporting = [figures[-1].time_ms for figures in processes if is_reporting(figures, now_ms)]
    last = [figures[-1].time_ms for figures in processes if figures]
    end_ms = min(reporting) if reporting else max(last, default=start_ms)
    steps = max(0, (end_ms - start_ms) // step_ms)
    rates: dict[str, list[float | None]] = {}
    for name, field in fields.items():
        rates[name] = [None] * steps
        for figures in processes:
            _add(rates[name], _stepwise(rises(figures, field), start_ms, step_ms, steps))
    return History(start_ms, step_ms, rates)


def _add(total: list[float | None], more: list[float | None]) -> None:
    for index, rate in enumerate(more):
        if rate is not None:
            total[index] = (total[index] or 0.0) + rate


def _stepwise(found: Iterable[Rise], start_ms: int, step_ms: int, steps: int) -> list[float | None]:
    """Spread rises evenly over their time, and return the rate of each step that they cover."""
    amounts, covered_ms = [0.0] * steps, [0] * steps
    for rise in found:
        first = max(0, (rise.start_ms - start_ms) // step_ms)
        last = min(steps - 1, (rise.stop_ms - 1 - start_ms) // step_ms)
        for index in range(first, last + 1):
            begin = start_ms + index * step_ms
            overlap_ms = min(rise.stop_ms, begin + step_ms) - max(rise.start_ms, begin)
            amounts[index] += rise.per_second * overlap_ms
            covered_ms[index] += overlap_ms
    return [
        amount / covered if 2 * covered >= step_ms else None
        for amount, covered in zip(amounts, covered_ms, strict=True)
    ]
