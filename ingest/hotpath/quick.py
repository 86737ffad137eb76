"""Native payloads of known layouts, from bytes to lines: the way of nearly every message.

What it does not take goes the long way: it is decoded, checked and written like any other payload,
and where it is native its layout is learned. So what comes by here is what would have come by
there: a layout counts once its lines were seen to say the same as the readings of the long way.
"""

from collections.abc import Callable

from ingest.hotpath.layouts import Groups, Layout, Layouts
from ingest.seen import Seen
from ingest.series import Series
from telemetry.lineprotocol import parse_readings
from telemetry.reading import Reading

_MOST_TOPICS = 100_000
_MOST_LAYOUTS = 4  # of one topic
_TRIES = 16  # to learn a topic's layouts, in all
_PLACE = b"%b"

Lines = tuple[Series, list[bytes], list[int], int]
"""Whose readings a payload holds, their lines and times, and how many of them came before."""

_Bound = tuple[Layout, bytes]
"""A layout, and its template behind how the lines of one series begin."""


class _Topic:
    """What is known of a topic: whose readings come on it, and how its payloads look."""

    __slots__ = ("boot", "bounds", "seen", "series", "tries")

    def __init__(self, series: Series) -> None:
        self.series = series
        # Of the boot that came last, which is the next one's as well but once in a device's life.
        self.boot = b""
        self.seen = Seen()
        self.bounds: list[_Bound] = []
        self.tries = _TRIES

    def note(self, groups: Groups) -> bool:
        """Note a reading's boot and number; True where the same came lately."""
        boot = groups[-3]
        if boot != self.boot:
            self.seen = self.series.seen(int(boot))
            self.boot = boot
        return self.seen.note(int(groups[-2]))

    def add(self, layout: Layout) -> None:
        """Look for this layout first."""
        self.bounds.insert(0, _bound(layout, self.series))
        del self.bounds[_MOST_LAYOUTS:]


class QuickReader:
    """Reads what comes on topics, as far as it looks like what it has learned.

    `series_of` returns whose readings come on a topic; None where they are not read as native ones
    whatever they look like.
    """

    def __init__(self, layouts: Layouts, series_of: Callable[[str], Series | None]) -> None:
        self._layouts = layouts
        self._series_of = series_of
        self._topics: dict[str, _Topic] = {}
        # Of devices of one kind the second one is known by what the first one has shown.
        self._common: list[Layout] = []

    def series(self, topic: str) -> Series | None:
        """Return whose readings come on a topic, where they are read here."""
        known = self._topics.get(topic) or self._meet(topic)
        return None if known is None else known.series

    def read(self, topic: str, payload: bytes, oldest_ms: int, newest_ms: int) -> Lines | None:
        """Return what a payload holds; None where the long way has to find out.

        That is where no layout takes it, and where a time is not from `oldest_ms` to `newest_ms`.
        """
        known = self._topics.get(topic) or self._meet(topic)
        if known is None:
            return None
        for layout, template in known.bounds:
            found = layout.match(payload)
            if found is None:
                continue
            groups = found.group(*layout.order)
            time_ms = int(groups[-1])
            if found.end() != len(payload) or not oldest_ms <= time_ms <= newest_ms:
                return None
            repeats = layout.counts and known.note(groups)
            return known.series, [template % groups], [time_ms], int(repeats)
        if payload[:1] == b"[":
            return _read_pack(known, payload, oldest_ms, newest_ms)
        return None

    def learn(self, topic: str, payload: bytes, readings: list[Reading]) -> None:
        """Learn the layouts of a payload that went the long way, without an error."""
        known = self._topics.get(topic) or self._meet(topic)
        if known is None or not known.tries:
            return
        known.tries -= 1
        layout = self._layouts.of(payload)
        if layout is None:
            return
        lines = _lines(_bound(layout, known.series), payload)
        if lines and parse_readings(b"\n".join([*lines, b""]).decode()) == readings:
            known.add(layout)
            self._common = [layout, *(one for one in self._common if one is not layout)]
            del self._common[_MOST_LAYOUTS:]

    def _meet(self, topic: str) -> _Topic | None:
        """Note a topic that did not come before; None where it cannot be read quickly."""
        series = self._series_of(topic)
        if series is None:
            return None
        if len(self._topics) >= _MOST_TOPICS:
            self._topics.clear()
        known = self._topics[topic] = _Topic(series)
        for layout in reversed(self._common):
            known.add(layout)
        return known


def _bound(layout: Layout, series: Series) -> _Bound:
    return layout, series.key.encode() + b" " + layout.template


def _read_pack(known: _Topic, payload: bytes, oldest_ms: int, newest_ms: int) -> Lines | None:
    for bound in known.bounds:
        pack = _pack(bound, payload)
        if pack is None:
            continue
        lines, groups = pack
        times_ms = [int(one[-1]) for one in groups]
        if min(times_ms) < oldest_ms or max(times_ms) > newest_ms:
            return None
        repeats = sum(map(known.note, groups)) if bound[0].counts else 0
        return known.series, lines, times_ms, repeats
    return None


def _lines(bound: _Bound, payload: bytes) -> list[bytes]:
    """Return the lines of a payload of a layout, a reading or a pack; none where it is another."""
    layout, template = bound
    found = layout.match(payload)
    if found is not None and found.end() == len(payload):
        return [template % found.group(*layout.order)]
    pack = _pack(bound, payload)
    return pack[0] if pack is not None else []


def _pack(bound: _Bound, payload: bytes) -> tuple[list[bytes], list[Groups]] | None:
    """Return the lines of a pack whose readings are all of one layout, and what is in them.

    None where anything else stands in it: then it is longer than what was found.
    """
    layout, template = bound
    groups = [layout.pick(one) for one in layout.find(payload)]
    lines = [template % one for one in groups]
    literal_bytes = len(template) - len(_PLACE) * len(layout.order)
    groups_bytes = sum(map(len, lines)) - len(lines) * literal_bytes
    if not lines or len(payload) != layout.pack_bytes(len(lines)) + groups_bytes:
        return None
    return (lines, groups) if payload.endswith(b"]") else None
