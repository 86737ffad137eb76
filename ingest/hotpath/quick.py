"""Native payloads of known layouts, from bytes to lines: the way of nearly every message.

What it does not take goes the long way: it is decoded, checked and written like any other payload,
and where it is native its layout is learned. So what comes by here is what would have come by
there: a layout counts once its lines were seen to say the same as the readings of the long way.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from ingest.hotpath.layouts import MOST_OF_ONE_TOPIC, Layout, Layouts
from ingest.series import Series
from telemetry.lineprotocol import parse_readings
from telemetry.reading import Reading

_MOST_TOPICS = 100_000
_TRIES = 16  # to learn a topic's layouts, in all

Lines = tuple[Series, list[bytes], list[int], int]
"""Whose readings a payload holds, their lines and times, and how many of them came before."""


class _Bound(NamedTuple):
    """A layout, with how the lines of one series begin."""

    match: Callable[[bytes, int], re.Match[bytes] | None]
    order: tuple[int, ...]
    template: bytes
    counts: bool


class _Topic:
    """What is known of a topic: whose readings come on it, and how its payloads look."""

    __slots__ = ("bounds", "series", "tries")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.bounds: list[_Bound] = []
        self.tries = _TRIES


class QuickReader:
    """Reads what comes on topics whose layouts it has learned."""

    def __init__(self, layouts: Layouts) -> None:
        self._layouts = layouts
        self._topics: dict[str, _Topic] = {}

    def read(self, topic: str, payload: bytes, oldest_ms: int, newest_ms: int) -> Lines | None:
        """Return what a payload holds; None where the long way has to find out.

        That is where no layout takes it, and where a time is not from `oldest_ms` to `newest_ms`.
        """
        known = self._topics.get(topic)
        if known is None:
            return None
        for match, order, template, counts in known.bounds:
            found = match(payload, 0)
            if found is None:
                continue
            values = found.group(*order)
            time_ms = int(values[-1])
            if found.end() != len(payload) or not oldest_ms <= time_ms <= newest_ms:
                return None
            series = known.series
            repeats = counts and series.note(int(values[-3]), int(values[-2]))
            return series, [template % values], [time_ms], int(repeats)
        return _read_pack(known, payload, oldest_ms, newest_ms)

    def learn(self, topic: str, payload: bytes, readings: list[Reading], series: Series) -> None:
        """Learn the layouts of a payload that went the long way, without an error."""
        known = self._topics.get(topic)
        if known is None:
            if len(self._topics) >= _MOST_TOPICS:
                self._topics.clear()
            known = self._topics[topic] = _Topic(series)
        if not known.tries:
            return
        known.tries -= 1
        bounds = [_bound(layout, known.series) for layout in self._layouts.of(payload)]
        found = _found(bounds, payload)
        lines = b"".join(bound.template % values + b"\n" for bound, values in found)
        if found and parse_readings(lines.decode()) == readings:
            known.bounds = [*bounds, *known.bounds][:MOST_OF_ONE_TOPIC]


def _bound(layout: Layout, series: Series) -> _Bound:
    template = series.key.encode() + b" " + layout.template
    return _Bound(layout.match, layout.order, template, layout.counts)


def _read_pack(known: _Topic, payload: bytes, oldest_ms: int, newest_ms: int) -> Lines | None:
    found = _found(known.bounds, payload)
    times_ms = [int(values[-1]) for _bound, values in found]
    if not found or min(times_ms) < oldest_ms or max(times_ms) > newest_ms:
        return None
    series, repeats = known.series, 0
    for bound, values in found:
        if bound.counts:
            repeats += series.note(int(values[-3]), int(values[-2]))
    return series, [bound.template % values for bound, values in found], times_ms, repeats


def _found(bounds: list[_Bound], payload: bytes) -> list[tuple[_Bound, tuple[bytes, ...]]]:
    """Return the layout of each reading and what stands in its places; empty where one has none."""
    found = []
    is_pack = payload[:1] == b"["
    at = 1 if is_pack else 0
    while True:
        for bound in bounds:
            match = bound.match(payload, at)
            if match is not None:
                break
        else:
            return []
        found.append((bound, match.group(*bound.order)))
        at = match.end()
        if not is_pack or payload[at : at + 1] != b",":
            return found if payload[at:] == (b"]" if is_pack else b"") else []
        at += 2 if payload[at + 1 : at + 2] == b" " else 1
