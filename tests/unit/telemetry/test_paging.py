"""The walk through a range: what is asked, however readings lie in it and wherever a limit cuts."""

from hypothesis import given
from hypothesis import strategies as st

from telemetry.store import Position, Row, Selection
from telemetry.store.paging import PLACE_OF_ROW, Group, Pager, in_order

STOP_MS = 60

# Few times and devices, so that many readings share a moment.
ROWS = st.lists(
    st.tuples(
        st.integers(0, STOP_MS - 1), st.just("s"), st.sampled_from("abc"), st.sampled_from("mn")
    ),
    unique=True,
    max_size=60,
).map(lambda rows: [(*row, None, None) for row in rows])


class Shelf:
    """Rows in groups by measurement, each answered in order of time and cut at a limit."""

    def __init__(self, rows: list[Row], *, descending: bool) -> None:
        self._rows = sorted(rows, key=lambda row: row[0], reverse=descending)
        self.most = 0
        self.asked = 0

    def ask(self, piece: Selection, limit: int) -> list[Group[Row]]:
        self.asked += 1
        groups = []
        for measurement in "mn":
            found = [
                row
                for row in self._rows
                if row[3] == measurement and piece.start_ms <= row[0] < piece.stop_ms
            ]
            groups.append(Group(found[:limit], len(found) >= limit))
        self.most = max(self.most, sum(len(group.items) for group in groups))
        return [group for group in groups if group.items]


@given(ROWS, st.booleans(), st.integers(1, 9), st.integers(1, 100))
def test_the_pages_are_everything_in_order(
    rows: list[Row], descending: bool, limit: int, span_ms: int
) -> None:
    shelf = Shelf(rows, descending=descending)
    selection = Selection(start_ms=0, stop_ms=STOP_MS)

    pager = Pager(shelf.ask, PLACE_OF_ROW, selection, descending=descending, after=None)
    pages = list(pager.pages(limit, span_ms=span_ms))

    assert all(pages)
    found = [row for page in pages for row in page]
    assert found == in_order(list(rows), PLACE_OF_ROW, descending=descending)
    assert shelf.asked <= 4 * len(rows) + 20


@given(ROWS.filter(bool), st.booleans(), st.integers(1, 9), st.data())
def test_behind_any_place_the_rest_follows(
    rows: list[Row], descending: bool, limit: int, data: st.DataObject
) -> None:
    ordered = in_order(list(rows), PLACE_OF_ROW, descending=descending)
    index = data.draw(st.integers(0, len(ordered) - 1))
    after = Position(*PLACE_OF_ROW(ordered[index]))
    selection = Selection(start_ms=0, stop_ms=STOP_MS)
    shelf = Shelf(rows, descending=descending)

    pager = Pager(shelf.ask, PLACE_OF_ROW, selection, descending=descending, after=after)

    assert pager.first(limit) == ordered[index + 1 :][:limit]
