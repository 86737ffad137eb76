"""Which bucket answers which part of a range: readings, or their minutes or hours."""

from collections.abc import Iterator

from msgspec.structs import replace

from telemetry.store import Aggregate, Resolution, Selection

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

# A reading may come an hour late: minutes are made again until 11 minutes after that, hours until 6
# minutes after that (stack/setup/rollup.py). What is younger is asked of the readings.
SETTLED_AFTER_MS: dict[Resolution, int] = {"1m": 75 * MINUTE_MS, "1h": 75 * MINUTE_MS}
# Of which aggregates of its parts a bucket is made.
PARTS: dict[Aggregate, tuple[Aggregate, ...]] = {
    "mean": ("sum", "count"),
    "min": ("min",),
    "max": ("max",),
    "sum": ("sum",),
}
_LONG_RANGE_MS = {"1m": 6 * HOUR_MS, "1h": 7 * 24 * HOUR_MS}
_INTERVAL_MS: dict[Resolution, int] = {"1h": HOUR_MS, "1m": MINUTE_MS}


def resolution_of(selection: Selection, every_ms: int, aggregate: Aggregate) -> Resolution:
    """Return the coarsest resolution that a range is long enough for and that its intervals fit."""
    span_ms = selection.stop_ms - selection.start_ms
    if aggregate in PARTS:
        for resolution, interval_ms in _INTERVAL_MS.items():
            if every_ms % interval_ms == 0 and span_ms >= _LONG_RANGE_MS[resolution]:
                return resolution
    return "raw"


def parts(
    selection: Selection, resolution: Resolution, now_ms: int
) -> Iterator[tuple[Resolution, Selection]]:
    """Cut a range: whole minutes or hours that are settled, and readings before and behind them."""
    if resolution == "raw":
        yield "raw", selection
        return
    interval_ms = _INTERVAL_MS[resolution]
    begin_ms = -(-selection.start_ms // interval_ms) * interval_ms
    end_ms = min(selection.stop_ms, now_ms - SETTLED_AFTER_MS[resolution])
    end_ms -= end_ms % interval_ms
    if begin_ms >= end_ms:
        yield "raw", selection
        return
    if selection.start_ms < begin_ms:
        yield "raw", replace(selection, stop_ms=begin_ms)
    yield resolution, replace(selection, start_ms=begin_ms, stop_ms=end_ms)
    if end_ms < selection.stop_ms:
        yield "raw", replace(selection, start_ms=end_ms)
