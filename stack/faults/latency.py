"""The latency of one stretch of time, out of histograms that only grow."""

from collections import Counter

import msgspec
from hdrh.histogram import HdrHistogram

from stack.services import Service
from telemetry.latency import KINDS, LONGEST_MS, SIGNIFICANT_DIGITS

Recorded = Counter[int]
"""How often each latency, in ms, was recorded."""


def recorded(ingest: Service) -> Recorded:
    """Return what an ingest has recorded so far, over all levels."""
    encoded = msgspec.json.decode(ingest.get("/latency")[1])
    found: Recorded = Counter()
    for kind in KINDS:
        histogram = HdrHistogram(1, LONGEST_MS, SIGNIFICANT_DIGITS)
        histogram.decode_and_add(encoded[kind])
        for item in histogram.get_recorded_iterator():
            found[item.value_iterated_to] += item.count_added_in_this_iter_step
    return found


def p99_ms(begin: Recorded, end: Recorded) -> float:
    """Return the latency that 99 % of what came in between did not exceed."""
    between = end - begin
    wanted, seen = 0.99 * between.total(), 0
    for latency_ms in sorted(between):
        seen += between[latency_ms]
        if seen >= wanted:
            return latency_ms
    return 0.0
