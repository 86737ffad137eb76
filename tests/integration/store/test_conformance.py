"""One behaviour for every store: the same readings in, the same answers out."""

import math
import threading
import time
import uuid
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.reading import Reading, Value
from telemetry.store import Aggregate, Selection, SequenceCount, Series, Store, StoreError
from tests.strategies import names, values

T0 = 1_700_000_000_000  # a whole second
BOOT_MS = T0 - 5000
SECONDS = Selection(start_ms=T0 - 10_000, stop_ms=T0 + 60_000)
EVERYTHING = Selection(start_ms=0, stop_ms=T0 * 2)


def reading(
    time_ms: int = T0,
    *,
    device: str = "node-1",
    measurement: str = "weather",
    site: str = "jakarta",
    seq: int | None = None,
    **fields: Value,
) -> Reading:
    boot_ms = None if seq is None else BOOT_MS
    return Reading(site, device, measurement, time_ms, fields or {"a": 1.0}, boot_ms, seq)


def all_of(store: Store) -> list[Reading]:
    return store.readings(EVERYTHING, limit=100_000)


def test_what_was_written_is_read_back_the_same(store: Store) -> None:
    written = [
        reading(T0, a=1.5, ok=True, note="x", seq=0),
        reading(T0 + 1, a=-0.0, ok=False, note="", seq=1),
        reading(T0 + 2, a=1e308, b=5e-324, note='"quoted" \\ back\nline\té ñ 🌡', seq=2),
    ]

    assert store.write(written) == []

    assert all_of(store) == written
    assert math.copysign(1, float(all_of(store)[1].values["a"])) == -1


@given(st.dictionaries(names(), values(), min_size=1, max_size=5), st.integers(0, 10**12))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_any_values_are_read_back_the_same(
    store: Store, fields: dict[str, Value], time_ms: int
) -> None:
    # A measurement of its own: InfluxDB holds a field of one measurement to one type.
    written = Reading("s", "d", uuid.uuid4().hex, time_ms, fields)

    assert store.write([written]) == []

    selected = Selection(start_ms=time_ms, stop_ms=time_ms + 1, measurement=written.measurement)
    assert store.readings(selected, limit=10) == [written]


def test_writing_again_changes_nothing(store: Store) -> None:
    written = [reading(T0 + number, seq=number, a=float(number)) for number in range(100)]

    for _time in range(3):
        store.write(written)

    assert all_of(store) == written


def test_order_of_arrival_does_not_matter(store: Store) -> None:
    written = [reading(T0 + number, seq=number) for number in range(10)]

    store.write(written[5:])
    store.write(list(reversed(written[:5])))

    assert all_of(store) == written


def test_of_two_at_one_time_the_later_wins_field_by_field(store: Store) -> None:
    store.write([reading(a=1.0, b=2.0, seq=1)])
    store.write([reading(a=5.0, c="x", seq=2)])

    assert all_of(store) == [reading(a=5.0, b=2.0, c="x", seq=2)]


def test_of_two_at_one_time_in_one_batch_the_later_wins_too(store: Store) -> None:
    store.write([reading(a=1.0, b=2.0), reading(a=5.0)])

    assert all_of(store) == [reading(a=5.0, b=2.0)]


def test_a_range_holds_its_start_but_not_its_stop(store: Store) -> None:
    store.write([reading(T0 + number) for number in range(5)])

    read = store.readings(Selection(start_ms=T0 + 1, stop_ms=T0 + 3), limit=100)

    assert [one.time_ms for one in read] == [T0 + 1, T0 + 2]


def test_a_selection_of_fields_gives_only_these(store: Store) -> None:
    store.write([reading(T0, a=1.0, b=2.0, seq=1), reading(T0 + 1, b=3.0), reading(T0 + 2, c=4.0)])

    def selected(*fields: str) -> list[Reading]:
        selection = Selection(start_ms=0, stop_ms=T0 * 2, fields=fields)
        return store.readings(selection, limit=10)

    assert selected("b") == [reading(T0, b=2.0), reading(T0 + 1, b=3.0)]
    assert selected("a", "c") == [reading(T0, a=1.0), reading(T0 + 2, c=4.0)]
    assert selected("nothing") == []


def test_aggregates_of_selected_fields_give_only_these(store: Store) -> None:
    store.write([reading(T0, a=1.0, b=2.0), reading(T0 + 1000, b=4.0)])
    selection = Selection(start_ms=T0, stop_ms=T0 + 60_000, fields=("a",))

    buckets = store.aggregate(selection, every_ms=1000, aggregate="mean", limit=10).buckets

    assert [(one.start_ms - T0, one.values) for one in buckets] == [(0, {"a": 1.0})]


def test_a_site_can_be_left_out(store: Store) -> None:
    store.write([reading(T0, site="denyut"), reading(T0 + 1, site="jakarta")])

    selection = Selection(start_ms=0, stop_ms=T0 * 2, except_site="denyut")

    assert [one.site for one in store.readings(selection, limit=10)] == ["jakarta"]


def test_an_empty_range_is_empty(store: Store) -> None:
    store.write([reading()])

    assert store.readings(Selection(start_ms=0, stop_ms=T0), limit=100) == []


def test_a_selection_is_by_site_device_and_measurement(store: Store) -> None:
    store.write(
        [
            reading(T0, site="jakarta", device="d1", measurement="m1"),
            reading(T0 + 1, site="jakarta", device="d1", measurement="m2"),
            reading(T0 + 2, site="bandung", device="d2", measurement="m1"),
        ]
    )

    def times(**wanted: str) -> list[int]:
        selection = msgspec.structs.replace(EVERYTHING, **wanted)
        return [one.time_ms - T0 for one in store.readings(selection, limit=10)]

    assert times(device="d1") == [0, 1]
    assert times(measurement="m1") == [0, 2]
    assert times(site="bandung") == [2]
    assert times(device="d1", measurement="m2", site="jakarta") == [1]
    assert times(device="nobody") == []


def test_readings_come_in_order_of_time_and_no_more_than_asked(store: Store) -> None:
    store.write([reading(T0 + number, device=f"d{number % 3}") for number in range(30)])

    ascending = store.readings(EVERYTHING, limit=7)
    descending = store.readings(EVERYTHING, limit=7, descending=True)

    assert [one.time_ms - T0 for one in ascending] == list(range(7))
    assert [one.time_ms - T0 for one in descending] == list(range(29, 22, -1))


def test_the_latest_reading_of_each_series(store: Store) -> None:
    store.write([reading(T0 + number, device="d1", a=float(number)) for number in range(5)])
    store.write(
        [
            reading(T0 + 9, device="d2", site="bandung"),
            reading(T0 + 3, device="d1", measurement="m2"),
        ]
    )

    assert [(one.device, one.measurement, one.time_ms - T0) for one in store.latest()] == [
        ("d2", "weather", 9),
        ("d1", "m2", 3),
        ("d1", "weather", 4),
    ]
    assert [one.device for one in store.latest(site="bandung")] == ["d2"]
    assert [one.measurement for one in store.latest(device="d1")] == ["m2", "weather"]
    assert store.latest(device="nobody") == []


def test_the_latest_of_the_silent_is_told_beside_those_that_send(store: Store) -> None:
    now_ms = time.time_ns() // 1_000_000
    store.write([reading(T0, device="left"), reading(T0 + 5, device="left", site="bandung")])
    store.write([reading(T0, device="sends"), reading(now_ms, device="sends")])
    store.write([reading(T0 + 7, device="sends", measurement="given up, long ago")])

    assert [(one.site, one.device, one.measurement, one.time_ms) for one in store.latest()] == [
        ("bandung", "left", "weather", T0 + 5),
        ("jakarta", "left", "weather", T0),
        ("jakarta", "sends", "given up, long ago", T0 + 7),
        ("jakarta", "sends", "weather", now_ms),
    ]
    assert [one.time_ms for one in store.latest(site="bandung")] == [T0 + 5]
    assert [one.time_ms for one in store.latest(device="sends")] == [T0 + 7, now_ms]


def test_the_latest_of_more_silent_devices_than_are_asked_for_by_name(store: Store) -> None:
    now_ms = time.time_ns() // 1_000_000
    silent = [reading(T0 + number, device=f"silent-{number:03}") for number in range(150)]
    store.write([*silent, reading(now_ms, device="sends"), reading(T0, device="sends")])

    assert [one.time_ms for one in store.latest()] == [
        now_ms,
        *(one.time_ms for one in silent),
    ]


def test_the_series_with_the_time_of_their_last_reading(store: Store) -> None:
    store.write([reading(T0), reading(T0 + 5), reading(T0, device="d2")])

    assert store.series() == [
        Series("jakarta", "d2", "weather", T0),
        Series("jakarta", "node-1", "weather", T0 + 5),
    ]


@pytest.mark.parametrize(
    ("aggregate", "first", "second"),
    [
        ("mean", 2.0, 10.0),
        ("min", 1.0, 10.0),
        ("max", 3.0, 10.0),
        ("sum", 6.0, 10.0),
        ("count", 3.0, 1.0),
        ("first", 2.0, 10.0),
        ("last", 1.0, 10.0),
        ("p50", 2.0, 10.0),
        ("p90", 3.0, 10.0),
        ("p95", 3.0, 10.0),
        ("p99", 3.0, 10.0),
    ],
)
def test_a_range_is_aggregated_over_aligned_intervals(
    store: Store, aggregate: Aggregate, first: float, second: float
) -> None:
    store.write(
        [
            reading(T0 + 100, a=2.0),
            reading(T0 + 200, a=3.0),
            reading(T0 + 999, a=1.0),
            reading(T0 + 2000, a=10.0),
        ]
    )

    buckets = store.aggregate(SECONDS, every_ms=1000, aggregate=aggregate, limit=100).buckets

    assert [(bucket.start_ms - T0, bucket.values) for bucket in buckets] == [
        (0, {"a": first}),
        (2000, {"a": second}),
    ]


def test_booleans_and_texts_are_counted_but_not_averaged(store: Store) -> None:
    store.write([reading(T0, a=2.0, ok=True, note="x"), reading(T0 + 1, a=4.0, ok=False)])

    def aggregated(aggregate: Aggregate) -> dict[str, Value]:
        (bucket,) = store.aggregate(SECONDS, every_ms=1000, aggregate=aggregate, limit=10).buckets
        return bucket.values

    assert aggregated("mean") == {"a": 3.0}
    assert aggregated("count") == {"a": 2.0, "ok": 2.0, "note": 1.0}
    assert aggregated("last") == {"a": 4.0, "ok": False, "note": "x"}


def test_aggregates_are_kept_apart_by_series_and_limited(store: Store) -> None:
    store.write(
        [
            reading(T0 + number * 1000, device=device, a=1.0)
            for number in range(5)
            for device in "ab"
        ]
    )

    buckets = store.aggregate(SECONDS, every_ms=1000, aggregate="sum", limit=4).buckets

    assert [(bucket.start_ms - T0, bucket.device) for bucket in buckets] == [
        (0, "a"),
        (0, "b"),
        (1000, "a"),
        (1000, "b"),
    ]


def test_a_fleet_s_intervals_come_in_order_however_sparse_they_are(store: Store) -> None:
    # Everything in the first two seconds, then one reading an hour, then one after a day.
    written = [
        reading(T0 + part, device=f"d{number}", a=1.0) for number in range(40) for part in (0, 1500)
    ]
    written += [reading(T0 + 3_600_000, device="d7"), reading(T0 + 86_400_000, device="d3")]
    store.write(written)
    selection = Selection(start_ms=T0 - 5500, stop_ms=T0 + 90_000_000)

    def asked(limit: int) -> list[tuple[int, str]]:
        found = store.aggregate(selection, every_ms=1000, aggregate="count", limit=limit).buckets
        return [((one.start_ms - T0) // 1000, one.device) for one in found]

    expected = [
        (second, device) for second in (0, 1) for device in sorted(f"d{n}" for n in range(40))
    ]
    expected += [(3600, "d7"), (86_400, "d3")]
    assert asked(1000) == expected
    assert asked(41) == expected[:41]


def test_a_device_s_intervals_may_be_more_than_a_hundred_thousand(store: Store) -> None:
    store.write([reading(T0), reading(T0 + 200_000_000)])
    selection = Selection(start_ms=T0, stop_ms=T0 + 200_000_001, device="node-1")

    found = store.aggregate(selection, every_ms=1000, aggregate="mean", limit=9).buckets

    assert [one.start_ms - T0 for one in found] == [0, 200_000_000]


def test_a_field_of_two_types_in_two_measurements_is_aggregated_in_each(store: Store) -> None:
    store.write([reading(T0, measurement="m1", a=2.0), reading(T0, measurement="m2", a="x", b=4.0)])

    def aggregated(aggregate: Aggregate) -> list[tuple[str, dict[str, Value]]]:
        found = store.aggregate(SECONDS, every_ms=1000, aggregate=aggregate, limit=9).buckets
        return [(one.measurement, one.values) for one in found]

    assert aggregated("mean") == [("m1", {"a": 2.0}), ("m2", {"b": 4.0})]
    assert aggregated("last") == [("m1", {"a": 2.0}), ("m2", {"a": "x", "b": 4.0})]


@pytest.mark.parametrize("aggregate", ["mean", "count", "last", "p50"])
def test_an_aggregate_is_of_the_selected_site_device_and_measurement(
    store: Store, aggregate: Aggregate
) -> None:
    store.write(
        [
            reading(T0, site="jakarta", device="d1", measurement="m1", a=1.0),
            reading(T0, site="bandung", device="d2", measurement="m1", a=1.0),
            reading(T0, site="denyut", device="api-1", measurement="m2", a=1.0),
        ]
    )

    def places(**wanted: str) -> list[tuple[str, str, str]]:
        selection = msgspec.structs.replace(SECONDS, **wanted)
        found = store.aggregate(selection, every_ms=1000, aggregate=aggregate, limit=9).buckets
        return [(one.site, one.device, one.measurement) for one in found]

    d1, d2, own = ("jakarta", "d1", "m1"), ("bandung", "d2", "m1"), ("denyut", "api-1", "m2")
    assert places() == [own, d1, d2]
    assert places(except_site="denyut") == [d1, d2]
    assert places(site="jakarta") == places(device="d1") == [d1]
    assert places(site="jakarta", device="d1", measurement="m1") == [d1]
    assert places(measurement="m1", except_site="jakarta") == [d2]
    assert places(site="nowhere") == places(device="nobody") == places(measurement="none") == []


def test_sequence_counts_show_what_is_missing(store: Store) -> None:
    store.write([reading(T0 + seq, seq=seq) for seq in range(10) if seq not in (3, 4)])
    store.write([reading(T0 + 99)])

    assert list(store.sequence_counts()) == [SequenceCount("node-1", BOOT_MS, 8, 9)]


def test_sequences_name_every_stored_reading_that_has_one(store: Store) -> None:
    store.write([reading(T0 + seq, seq=seq) for seq in range(3)])
    store.write([reading(T0 + 99)])

    sequences = sorted(store.sequences(), key=lambda one: one.seq)

    assert [(one.device, one.boot_ms, one.seq, one.time_ms - T0) for one in sequences] == [
        ("node-1", BOOT_MS, seq, seq) for seq in range(3)
    ]


@pytest.mark.parametrize("alone", [{"seq": 9}, {"boot_ms": BOOT_MS}])
def test_a_reading_with_only_one_of_boot_and_number_is_not_counted(
    store: Store, alone: dict[str, int]
) -> None:
    store.write([reading(T0 + seq, seq=seq) for seq in range(3)])
    store.write([msgspec.structs.replace(reading(T0 + 9), **alone)])

    assert list(store.sequence_counts()) == [SequenceCount("node-1", BOOT_MS, 3, 2)]
    assert len(list(store.sequences())) == 3


def test_sequences_can_be_asked_of_one_device_and_a_time_range(store: Store) -> None:
    store.write(
        [reading(T0 + seq, device=device, seq=seq) for device in ("d1", "d2") for seq in range(5)]
    )

    def asked(
        device: str | None = None, start_ms: int | None = None, stop_ms: int | None = None
    ) -> list[tuple[str, int]]:
        found = store.sequences(device=device, start_ms=start_ms, stop_ms=stop_ms)
        return sorted((one.device, one.seq) for one in found)

    assert asked("d1") == [("d1", seq) for seq in range(5)]
    assert asked("d1", T0 + 1, T0 + 3) == [("d1", 1), ("d1", 2)]
    assert asked(None, T0 + 4) == [("d1", 4), ("d2", 4)]
    assert asked(None, None, T0 + 1) == [("d1", 0), ("d2", 0)]
    assert asked("nobody") == []


def test_a_reader_can_ask_while_it_streams(store: Store) -> None:
    store.write([reading(T0 + seq, seq=seq) for seq in range(10)])

    stream = store.sequences()
    next(stream)

    assert len(all_of(store)) == 10
    assert len(list(stream)) == 9


def test_several_threads_may_share_it(store: Store) -> None:
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            for part in range(20):
                store.write([reading(T0 + part, device=f"d{number}")])
                store.latest(device=f"d{number}")
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert failures == []
    assert len(all_of(store)) == 80


def test_a_name_with_every_allowed_mark_is_kept(store: Store) -> None:
    name = "A9_.:-" + "z" * 58

    store.write([Reading(name, name, name, T0, {name: 1.0})])

    assert all_of(store) == [Reading(name, name, name, T0, {name: 1.0})]
    assert [one.device for one in store.latest(device=name)] == [name]


def test_a_hostile_name_selects_nothing(store: Store) -> None:
    store.write([reading()])

    for hostile in ("' OR '1'='1", '" OR 1=1 --', "node-1'; DROP TABLE reading; --", "/.*/", "*"):
        assert store.latest(device=hostile) == []
        assert store.readings(Selection(start_ms=0, stop_ms=T0 * 2, device=hostile), limit=9) == []
    assert len(all_of(store)) == 1


def test_times_increase_over_a_long_stream(store: Store) -> None:
    store.write([reading(T0 + number, device=f"d{number % 7}") for number in range(5000)])

    read = all_of(store)

    assert len(read) == 5000
    assert all(one.time_ms <= two.time_ms for one, two in pairwise(read))
