"""Latency from a reading's own time to the store's confirmation, one HdrHistogram per kind.

Kinds are the QoS levels `0`, `1`, `2`, and `late` for repeats and what came back from the spool:
their time says when they were due, not how long their way was.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec
from hdrh.histogram import HdrHistogram

Kind = Literal["0", "1", "2", "late"]
KINDS: tuple[Kind, ...] = ("0", "1", "2", "late")
PERCENTILES = (50, 95, 99)

LONGEST_MS = 7 * 24 * 3600 * 1000
SIGNIFICANT_DIGITS = 3
OBJECTIVE_MS = 1_000


class LatencySummary(msgspec.Struct, frozen=True):
    """Percentiles in milliseconds, None where nothing was recorded."""

    p50: float | None
    p95: float | None
    p99: float | None


class Latencies:
    """Histograms of latencies in milliseconds, by kind; those of several processes can be added.

    `over_objective` counts those that took longer than the objective: percentiles are of all since
    the start, and after a week hardly move, but what came on top of a count lately can be seen.
    """

    def __init__(self, objective_ms: int = OBJECTIVE_MS) -> None:
        self._histograms = {kind: _empty() for kind in KINDS}
        self._objective_ms = objective_ms
        self.over_objective: dict[Kind, int] = dict.fromkeys(KINDS, 0)

    def record(self, kind: Kind, latencies_ms: Iterable[int]) -> None:
        """Record a batch; a device's clock that is ahead counts as 0."""
        histogram = self._histograms[kind]
        # Counting equal values first: a batch of thousands has few different ones.
        for latency_ms, count in Counter(latencies_ms).items():
            histogram.record_value(min(max(latency_ms, 0), LONGEST_MS), count)
            if latency_ms > self._objective_ms:
                self.over_objective[kind] += count

    def count(self, kind: Kind) -> int:
        """Return how many latencies of a kind were recorded."""
        return int(self._histograms[kind].get_total_count())

    def summary(self, kind: Kind) -> LatencySummary:
        """Return the percentiles of a kind."""
        if not self.count(kind):
            return LatencySummary(None, None, None)
        found = self._histograms[kind].get_percentile_to_value_dict(PERCENTILES)
        return LatencySummary(*(float(found[percentile]) for percentile in PERCENTILES))

    def encode(self) -> dict[str, str]:
        """Return the histograms in HdrHistogram's base64 form, by kind."""
        return {kind: histogram.encode().decode() for kind, histogram in self._histograms.items()}

    def add_encoded(self, encoded: dict[str, str]) -> None:
        """Add what another process encoded."""
        for kind in KINDS:
            if kind in encoded:
                self._histograms[kind].decode_and_add(encoded[kind].encode())


def _empty() -> HdrHistogram:
    return HdrHistogram(1, LONGEST_MS, SIGNIFICANT_DIGITS)
