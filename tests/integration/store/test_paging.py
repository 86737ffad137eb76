"""Reading on from a place, and whole tables: the same from every store, however it is cut."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from telemetry.reading import Reading
from telemetry.store import (
    Aggregate,
    Bucket,
    Position,
    ReadingCount,
    Selection,
    Store,
    StoredField,
)
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings

T0 = 1_700_000_000_000
RANGE = Selection(start_ms=T0, stop_ms=T0 + 100_000)
ORDERS = pytest.mark.parametrize("descending", [False, True])


def position(one: Reading) -> Position:
    return Position(one.time_ms, one.device, one.measurement, one.site)


@pytest.fixture
def fleet(store: Store) -> list[Reading]:
    """Nine devices that all report at the same times, one measurement more seldom than the other,
    then a gap, then one device alone; in the order in which a store has to tell them."""
    written = [
        Reading("hall", f"d{device}", measurement, T0 + 1_000 * n, {"a": float(n)}, T0, n)
        for n in range(12)
        for device in range(9)
        for measurement in ("door", "weather")
        if measurement == "weather" or n % 5 == 0
    ]
    written += [Reading("hall", "d3", "weather", T0 + 60_000 + n, {"b": 1.0}) for n in range(30)]
    store.write(written)
    return written


def in_order(readings: list[Reading], *, descending: bool) -> list[Reading]:
    sign = -1 if descending else 1
    return sorted(readings, key=lambda one: (sign * one.time_ms, *position(one)[1:]))


def walk(
    store: Store, selection: Selection, limit: int, *, descending: bool
) -> Iterator[list[Reading]]:
    after = None
    while page := store.readings(selection, limit=limit, descending=descending, after=after):
        yield page
        after = position(page[-1])


@ORDERS
@pytest.mark.parametrize("limit", [1, 4, 9, 50, 1_000])
def test_pages_put_together_are_the_whole_range(
    store: Store, fleet: list[Reading], limit: int, descending: bool
) -> None:
    pages = list(walk(store, RANGE, limit, descending=descending))

    assert [one for page in pages for one in page] == in_order(fleet, descending=descending)
    assert all(len(page) == limit for page in pages[:-1])


@ORDERS
def test_pages_of_one_series_are_the_whole_series(
    store: Store, fleet: list[Reading], descending: bool
) -> None:
    selection = Selection(
        start_ms=T0, stop_ms=T0 + 100_000, device="d3", measurement="weather", fields=("a",)
    )

    pages = list(walk(store, selection, 5, descending=descending))

    expected = [one for one in fleet if (one.device, one.measurement) == ("d3", "weather")]
    expected = in_order([one for one in expected if "a" in one.values], descending=descending)
    assert [one.time_ms for page in pages for one in page] == [one.time_ms for one in expected]


@ORDERS
def test_a_place_outside_of_the_range_does_not_widen_it(
    store: Store, fleet: list[Reading], descending: bool
) -> None:
    selection = Selection(start_ms=T0 + 3_000, stop_ms=T0 + 5_000, measurement="weather")
    for time_ms in (T0, T0 + 5_000, T0 + 90_000):
        after = Position(time_ms, "", "", "")
        found = store.readings(selection, limit=1_000, descending=descending, after=after)
        assert all(T0 + 3_000 <= one.time_ms < T0 + 5_000 for one in found)
    assert fleet


@ORDERS
def test_a_table_holds_every_reading_in_the_same_order(
    store: Store, fleet: list[Reading], descending: bool
) -> None:
    pages = store.rows(RANGE, ("b", "a", "nothing"), descending=descending)

    assert [row for page in pages for row in page] == [
        (
            one.time_ms,
            one.site,
            one.device,
            one.measurement,
            one.boot_ms,
            one.seq,
            one.values.get("b"),
            one.values.get("a"),
            None,
        )
        for one in in_order(fleet, descending=descending)
    ]


@ORDERS
def test_a_table_of_selected_fields_holds_only_readings_that_have_one(
    store: Store, fleet: list[Reading], descending: bool
) -> None:
    selection = Selection(start_ms=T0, stop_ms=T0 + 100_000, site="hall", fields=("b",))

    rows = [row for page in store.rows(selection, ("b",), descending=descending) for row in page]

    expected = in_order([one for one in fleet if "b" in one.values], descending=descending)
    assert rows == [(one.time_ms, "hall", "d3", "weather", None, None, 1.0) for one in expected]


@ORDERS
def test_a_table_begins_behind_a_place(
    store: Store, fleet: list[Reading], descending: bool
) -> None:
    ordered = in_order(fleet, descending=descending)

    pages = store.rows(RANGE, ("a", "b"), descending=descending, after=position(ordered[17]))

    assert len([row for page in pages for row in page]) == len(ordered) - 18


def test_a_table_of_nothing_has_no_page(store: Store, fleet: list[Reading]) -> None:
    assert fleet
    assert list(store.rows(Selection(start_ms=0, stop_ms=T0, device="d1"), ("a",))) == []
    assert list(store.rows(Selection(start_ms=T0, stop_ms=T0 * 2, site="elsewhere"), ("a",))) == []


@ORDERS
def test_a_large_table_comes_in_pages(store: Store, descending: bool) -> None:
    # More than a page in one second, then one now and then: the pieces shrink, and grow again.
    times = [T0 + n // 50 for n in range(45_000)]
    written = [Reading("s", f"d{n % 50}", "m", t, {"a": 1.0}) for n, t in enumerate(times)]
    written += [Reading("s", "d1", "m", T0 + 86_400_000 * n, {"a": 2.0}) for n in range(1, 20)]
    for begin in range(0, len(written), 5_000):
        store.write(written[begin : begin + 5_000])
    selection = Selection(start_ms=T0 - 500, stop_ms=T0 + 86_400_000 * 25)

    pages = list(store.rows(selection, ("a",), descending=descending))

    found = [(row[0], row[2]) for page in pages for row in page]
    expected = in_order(written, descending=descending)
    assert found == [(one.time_ms, one.device) for one in expected]
    assert len(pages) >= 2
    assert max(map(len, pages)) < 25_000


def place(bucket: Bucket) -> Position:
    return Position(bucket.start_ms, bucket.device, bucket.measurement, bucket.site)


@ORDERS
@pytest.mark.parametrize("aggregate", ["mean", "first", "last", "count", "p50"])
def test_pages_of_intervals_put_together_are_all_of_them(
    store: Store, fleet: list[Reading], aggregate: Aggregate, descending: bool
) -> None:
    assert fleet
    # The range begins and ends within an interval.
    selection = Selection(start_ms=T0 + 1_500, stop_ms=T0 + 60_010)

    def asked(limit: int, *, descending: bool, after: Position | None = None) -> list[Bucket]:
        return store.aggregate(
            selection,
            every_ms=4_000,
            aggregate=aggregate,
            limit=limit,
            descending=descending,
            after=after,
        ).buckets

    rising = asked(1_000, descending=False)
    sign = -1 if descending else 1
    expected = sorted(rising, key=lambda one: (sign * one.start_ms, *place(one)[1:]))
    assert len(expected) > 20

    found: list[Bucket] = []
    while page := asked(7, descending=descending, after=place(found[-1]) if found else None):
        found += page
    assert found == expected


def test_intervals_of_one_device_go_on_behind_a_place(store: Store, fleet: list[Reading]) -> None:
    assert fleet
    selection = Selection(start_ms=T0, stop_ms=T0 + 100_000, device="d3", measurement="weather")
    after = Position(T0 + 4_000, "d3", "weather", "hall")

    found = store.aggregate(selection, every_ms=4_000, aggregate="count", limit=9, after=after)

    assert [(one.start_ms - T0, one.values) for one in found.buckets] == [
        (8_000, {"a": 4.0}),
        (60_000, {"b": 30.0}),
    ]


def test_the_fields_are_known_by_measurement_with_their_types(store: Store) -> None:
    store.write(
        [
            Reading("s", "d1", "m2", T0, {"z": True, "a": 1.0, "note": "x"}, T0, 0),
            Reading("s", "d2", "m1", T0, {"a": "text here"}, T0, 0),
        ]
    )

    assert store.fields() == [
        StoredField("m1", "a", "text"),
        StoredField("m2", "a", "number"),
        StoredField("m2", "note", "text"),
        StoredField("m2", "z", "boolean"),
    ]


def test_the_readings_of_a_time_are_counted_by_series(store: Store) -> None:
    store.write(
        [
            *(Reading("s", "d1", "m", T0 + n, {"a": 1.0, "b": True}, T0, n) for n in range(5)),
            *(Reading("s", "d2", "m", T0 + n, {"note": "x"}) for n in range(3)),
            Reading("s", "d1", "other", T0 + 2, {"a": 1.0}),
            Reading("s", "d1", "old", T0 - 1, {"a": 1.0}),
        ]
    )

    assert store.counts(T0, T0 + 4) == [
        ReadingCount("s", "d1", "m", 4),
        ReadingCount("s", "d1", "other", 1),
        ReadingCount("s", "d2", "m", 3),
    ]
    assert store.counts(0, T0 - 1) == []


def test_a_file_from_before_the_fields_were_noted_learns_them_when_it_is_opened_to_write(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    store = open_store(StoreSettings(store_url=url))
    store.write([Reading("s", "d", "m", T0, {"a": 1.0, "ok": False, "note": "x"})])
    store.close()
    with sqlite3.connect(tmp_path / "store.db") as connection:
        connection.execute("DROP TABLE field")
    connection.close()

    later = open_store(StoreSettings(store_url=url))
    later.write([])

    assert later.fields() == [
        StoredField("m", "a", "number"),
        StoredField("m", "note", "text"),
        StoredField("m", "ok", "boolean"),
    ]
    later.close()
