"""Reading on from a place, in questions that are each short, whatever the whole range holds.

A store answers a question's first readings by time and does not say which of one moment it left
out. So what stands at the last moment of an answer that was cut short is put aside and asked again,
as the beginning of the next question.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from operator import attrgetter, gt, itemgetter, lt
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from telemetry.store import Position, Selection

_WIDER = 4  # a piece of time behind one that held little
_MORE = 16  # the limit of a question whose answer held one moment only
_MOST_AT_A_MOMENT = 100_000

FIRST_SPAN_MS = 60_000
"""For how much time a table is asked first; what it held tells how much to ask for next."""

_MOST_ROWS = 20_000
_MOST_CELLS = 400_000

Item = TypeVar("Item")

PLACE_OF_READING: Callable[[Any], tuple[Any, ...]] = attrgetter(
    "time_ms", "device", "measurement", "site"
)
PLACE_OF_BUCKET: Callable[[Any], tuple[Any, ...]] = attrgetter(
    "start_ms", "device", "measurement", "site"
)
PLACE_OF_ROW: Callable[[Any], tuple[Any, ...]] = itemgetter(0, 2, 3, 1)


class Group(Struct, Generic[Item], frozen=True):
    """What one part of a question found, in order of time; `is_cut` where a limit ended it."""

    items: list[Item]
    is_cut: bool


Ask = Callable[[Selection, int], list[Group[Item]]]
"""Asks for the first of a range, at most so many in each group."""


def rows_at_once(fields: int) -> int:
    """Return how many rows of a table make a page that is neither large nor costly to ask for."""
    return max(1, min(_MOST_ROWS, _MOST_CELLS // (fields + 6)))


def resumed(
    selection: Selection, after: Position | None, every_ms: int, *, descending: bool
) -> Selection:
    """Return what is left of a range of intervals behind a place; its own interval is in it."""
    if after is None:
        return selection
    if descending:
        return replace(selection, stop_ms=min(selection.stop_ms, after.time_ms + every_ms))
    return replace(selection, start_ms=max(selection.start_ms, after.time_ms))


def in_order(
    items: list[Item], place: Callable[[Item], tuple[Any, ...]], *, descending: bool
) -> list[Item]:
    """Sort by time, then by device, measurement and site, which rise in either order of time."""
    times = [place(one)[0] for one in items]
    if all(map(gt if descending else lt, times, times[1:])):
        return items  # as those of one series are
    if descending:
        items.sort(key=lambda one: place(one)[1:])
        items.sort(key=lambda one: place(one)[0], reverse=True)  # it keeps the order of equals
    else:
        items.sort(key=place)
    return items


def behind(
    items: list[Item], after: Position | None, place: Callable[[Item], tuple[Any, ...]]
) -> list[Item]:
    """Leave out what stands at a place's own time and not behind it."""
    if after is None:
        return items
    return [one for one in items if place(one)[0] != after.time_ms or place(one)[1:] > after[1:]]


class Pager(Generic[Item]):
    """Walks through a range, question by question; each page is whole and in order."""

    def __init__(
        self,
        ask: Ask[Item],
        place: Callable[[Item], tuple[Any, ...]],
        selection: Selection,
        *,
        descending: bool,
        after: Position | None,
    ) -> None:
        self._ask = ask
        self._place = place
        self._selection = selection
        self._descending = descending
        self._after = after
        self._start_ms, self._stop_ms = selection.start_ms, selection.stop_ms
        if after is not None:
            self._begin_behind(after)

    def pages(self, limit: int, *, span_ms: int | None = None) -> Iterator[list[Item]]:
        """Yield everything, asking for at most `limit` of a group and first for so much time."""
        if self._after is not None and self._is_within(self._after):
            # All of that moment at once: how many of it come before the place nobody knows.
            yield from self._page(self._moment(self._after.time_ms), _MOST_AT_A_MOMENT)
        span_ms = span_ms or self._left_ms
        most = limit
        while self._left_ms > 0:
            asked_ms = min(span_ms, self._left_ms)
            before_ms = self._left_ms
            yield from self._page(self._piece(asked_ms), most)
            reached_ms = before_ms - self._left_ms
            most = most * _MORE if reached_ms == 0 else limit
            # What was cut short tells how much time a page is; what was not, that it may be more.
            is_cut = reached_ms < asked_ms
            span_ms = max(1, reached_ms * 5 // 4) if is_cut else asked_ms * _WIDER

    def first(self, limit: int) -> list[Item]:
        """Return the first of everything."""
        # One more says that the last moment is whole, and one may be the one it begins behind.
        found: list[Item] = []
        for page in self.pages(limit + 1):
            found += page
            if len(found) >= limit:
                break
        return found[:limit]

    @property
    def _left_ms(self) -> int:
        return self._stop_ms - self._start_ms

    @property
    def _is_one_series(self) -> bool:
        return self._selection.device is not None and self._selection.measurement is not None

    def _is_within(self, after: Position) -> bool:
        is_in_range = self._selection.start_ms <= after.time_ms < self._selection.stop_ms
        return is_in_range and not self._is_one_series

    def _begin_behind(self, after: Position) -> None:
        rest_ms = 1 if self._is_one_series else 0  # it has one reading at one time
        if self._descending:
            self._stop_ms = min(self._stop_ms, after.time_ms + 1 - rest_ms)
        else:
            self._start_ms = max(self._start_ms, after.time_ms + rest_ms)

    def _moment(self, time_ms: int) -> Selection:
        return replace(self._selection, start_ms=time_ms, stop_ms=time_ms + 1)

    def _piece(self, span_ms: int) -> Selection:
        if self._descending:
            start_ms, stop_ms = self._stop_ms - span_ms, self._stop_ms
        else:
            start_ms, stop_ms = self._start_ms, self._start_ms + span_ms
        return replace(self._selection, start_ms=start_ms, stop_ms=stop_ms)

    def _page(self, piece: Selection, limit: int) -> Iterator[list[Item]]:
        """Ask for a piece, step over what is known of it by then, and yield that if it is any."""
        groups = self._ask(piece, limit)
        ends_ms = [self._place(one.items[-1])[0] for one in groups if one.is_cut]
        found = self._known(groups, ends_ms)
        if self._descending:
            self._stop_ms = max(ends_ms) + 1 if ends_ms else piece.start_ms
        else:
            self._start_ms = min(ends_ms) if ends_ms else piece.stop_ms
        in_order(found, self._place, descending=self._descending)
        if self._after is not None and found and self._place(found[0])[0] == self._after.time_ms:
            found = behind(found, self._after, self._place)
        if found:
            yield found

    def _known(self, groups: list[Group[Item]], ends_ms: list[int]) -> list[Item]:
        """Return all that comes before the first moment at which a group was cut short."""
        if not ends_ms:
            return [one for group in groups for one in group.items]
        sign = -1 if self._descending else 1
        horizon = min(sign * end_ms for end_ms in ends_ms)
        found: list[Item] = []
        for group in groups:
            known = bisect_left(group.items, horizon, key=lambda one: sign * self._place(one)[0])
            found += group.items[:known]
        return found
