"""What only InfluxDB does, on a real one: refusals, wrong places and tokens."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.local import LocalStack
from stack.setup.plan import Plan
from telemetry.lineprotocol import format_line
from telemetry.reading import Reading, Value
from telemetry.settings import Secret
from telemetry.store import Selection, Store, StoreMisconfigured, StoreUnavailable
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import InfluxSession, Place, Rows
from tests.integration.store.conftest import fresh_influx_store, operator_token, set_up

NOW_MS = time.time_ns() // 1_000_000
HOUR_MS = 3_600_000


@pytest.fixture
def store(influxdb: LocalStack) -> InfluxStore:
    return fresh_influx_store(influxdb)


def reading(seq: int, **values: Value) -> Reading:
    return Reading("jakarta", "node-1", "weather", NOW_MS + seq, values, NOW_MS, seq)


def test_a_text_where_numbers_were_is_refused_alone(store: Store) -> None:
    store.write([reading(0, a=1.0)])
    batch = [reading(seq, a=float(seq)) for seq in range(1, 500)]
    batch[321] = reading(322, a="warm")

    refused = store.write(batch)

    assert [one.index for one in refused] == [321]
    assert "type conflict" in refused[0].reason
    everything = Selection(start_ms=0, stop_ms=NOW_MS * 2)
    assert len(store.readings(everything, limit=1000)) == 499


def test_refused_readings_of_three_weeks_are_found_though_only_one_week_s_are_counted(
    store: Store,
) -> None:
    # InfluxDB keeps weeks in shards of their own, and answers for the first that refuses.
    weeks = [NOW_MS - week * 8 * 24 * HOUR_MS for week in range(3)]
    store.write([Reading("s", "d", "m", week_ms, {"a": 1.0}) for week_ms in weeks])
    batch = [
        Reading("s", "d", "m", week_ms + 1 + n, {"a": "warm" if n in (3, 40) else float(n)})
        for week_ms in weeks
        for n in range(100)
    ]

    refused = store.write(batch)

    assert [one.index for one in refused] == [3, 40, 103, 140, 203, 240]
    everything = Selection(start_ms=0, stop_ms=NOW_MS * 2)
    assert len(store.readings(everything, limit=1000)) == 3 + 294


def test_of_unparsable_lines_each_is_found_with_its_own_reason(store: Store) -> None:
    beyond_ms = 10**14  # in the year 5138
    good = reading(1, note="good")
    hostile = f"x\n\"y\\\nunable to parse '{format_line(good)}': x"
    batch = [
        good,
        Reading("s", "d", "m", beyond_ms, {"note": hostile}),
        reading(2, note="two\nlines"),
        Reading("s", "d", "m", beyond_ms, {"a": 1.0}),
    ]

    refused = store.write(batch)

    assert [one.index for one in refused] == [1, 3]
    assert all(one.reason.startswith("time outside range") for one in refused)
    assert store.readings(Selection(start_ms=0, stop_ms=NOW_MS * 2), limit=9) == [good, batch[2]]


def test_readings_older_than_the_retention_are_refused_and_all_others_stored(
    influxdb: LocalStack, tmp_path: Path
) -> None:
    set_up(influxdb, Plan(bucket="short", retention_days=1), tmp_path)
    store = InfluxStore(Place(influxdb.store_url, "denyut", "short"), operator_token(influxdb))
    old = [Reading("s", "d", "m", NOW_MS - 72 * HOUR_MS + n, {"a": 1.0}) for n in range(20)]

    refused = store.write([*old, reading(0, a=1.0), *old])

    assert [one.index for one in refused] == [*range(20), *range(21, 41)]
    assert len(store.latest()) == 1


def test_the_latest_of_a_fleet_comes_without_the_fields_of_other_measurements(
    store: InfluxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Services tell a hundred fields of themselves: as columns of each device they would be most.
    store.write([reading(0, a=1.0), Reading("s", "d", "other", NOW_MS, {"b": 1.0, "c": 2.0})])
    columns: list[list[str]] = []
    query = InfluxSession.query

    def noted(session: InfluxSession, *given: Any, **named: Any) -> list[Rows]:
        found = query(session, *given, **named)
        columns.extend(rows.columns for rows in found if "time" in rows.columns)
        return found

    monkeypatch.setattr(InfluxSession, "query", noted)

    assert len(store.latest()) == len(store.counts(0, NOW_MS + 1)) == 2
    assert sorted(columns) == [
        ["time", "a", "boot", "seq"],
        ["time", "b", "c"],
        ["time", "count_a", "count_boot", "count_seq"],
        ["time", "count_b", "count_c"],
    ]


def test_days_long_past_are_not_asked_for_the_latest_of_devices_that_send(
    store: InfluxStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write([Reading("s", "d", "m", NOW_MS - day * 24 * HOUR_MS, {"a": 1.0}) for day in (9, 0)])
    asked: list[str] = []
    query = InfluxSession.query

    def noted(session: InfluxSession, statement: str, *given: Any, **named: Any) -> list[Rows]:
        asked.append(statement)
        return query(session, statement, *given, **named)

    monkeypatch.setattr(InfluxSession, "query", noted)

    assert [one.time_ms for one in store.latest()] == [NOW_MS]
    selecting = [one for several in asked for one in several.split("; ") if "SELECT" in one]
    assert len(selecting) == 1
    assert "time >= $start" in selecting[0]


@pytest.mark.parametrize(
    ("org", "bucket", "token", "named"),
    [
        ("nobody", "telemetry", None, "organization name"),
        ("denyut", "nothing", None, "bucket"),
        ("denyut", "telemetry", "wrong", "the token is not known"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_the_check_names_what_is_wrong(
    influxdb: LocalStack, org: str, bucket: str, token: str | None, named: str, read_only: bool
) -> None:
    secret = Secret(token) if token else operator_token(influxdb)
    store = InfluxStore(Place(influxdb.store_url, org, bucket), secret, read_only=read_only)

    with pytest.raises(StoreMisconfigured, match=named):
        store.check()


def test_a_server_that_is_away_is_unavailable_by_its_address() -> None:
    store = InfluxStore(Place("http://127.0.0.1:9", "denyut", "telemetry"), Secret("x"))

    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:9"):
        store.check()


@pytest.mark.parametrize("earlier", ["revoked", "grafana", "ingest"])
def test_a_new_token_in_the_file_is_taken_without_a_restart(
    influxdb: LocalStack, tmp_path: Path, earlier: str
) -> None:
    # One that nobody knows, and two that may not do all that the store is asked.
    known = influxdb.folder / "influxdb" / "tokens" / f"{earlier}-token"
    token = known.read_text() if known.exists() else earlier
    path = tmp_path / "token"
    path.write_text(token)
    place = Place(influxdb.store_url, "denyut", "telemetry")
    store = InfluxStore(place, Secret(token, str(path)))
    ask: Callable[[], object] = store.latest if earlier == "ingest" else store.check
    with pytest.raises(StoreMisconfigured):
        ask()

    path.write_text(operator_token(influxdb).value)

    ask()
