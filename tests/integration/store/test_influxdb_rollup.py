"""Minutes and hours on a real server: what they hold, and what long ranges answer from them."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from influxdb_client import InfluxDBClient

from stack.local import LocalStack
from stack.setup import rollup
from stack.setup.influxdb import InfluxSetup
from stack.setup.plan import Plan
from stack.setup.server import Server
from telemetry.reading import Reading, Value
from telemetry.store import Aggregate, Bucket, Selection
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import Place
from tests.eventually import eventually
from tests.integration.store.conftest import fresh_influx_store, operator_token, set_up

NOW_MS = time.time_ns() // 1_000_000
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
NineDays = tuple[InfluxStore, InfluxStore]
OLD_MS = NOW_MS - NOW_MS % HOUR_MS - 5 * HOUR_MS


class Downsampled:
    """A store with minutes and hours of its own."""

    def __init__(self, local: LocalStack, plan: Plan) -> None:
        self.plan = plan
        place = Place(local.store_url, plan.org, plan.bucket)
        self.store = InfluxStore(place, operator_token(local))
        self._server = Server(local.store_url, operator_token(local), plan.org)
        self._setup = InfluxSetup(self._server, plan)

    def roll_up(self, start_ms: int = OLD_MS) -> None:
        assert list(self._setup.roll_up(datetime.fromtimestamp(start_ms / 1000, UTC)))

    def close(self) -> None:
        self.store.close()
        self._server.close()


@pytest.fixture
def downsampled(influxdb: LocalStack, tmp_path: Path) -> Iterator[Downsampled]:
    plan = Plan(bucket=f"r-{uuid.uuid4().hex}")
    set_up(influxdb, plan, tmp_path)
    made = Downsampled(influxdb, plan)
    yield made
    made.close()


def reading(time_ms: int, values: dict[str, Value], *, device: str = "d") -> Reading:
    return Reading("s", device, "m", time_ms, values, 1, time_ms)


def asked(
    store: InfluxStore,
    hours: int,
    every_ms: int,
    aggregate: Aggregate = "mean",
    *,
    fields: tuple[str, ...] | None = None,
    except_site: str | None = None,
) -> tuple[str, list[Bucket]]:
    selection = Selection(
        start_ms=NOW_MS - hours * HOUR_MS, stop_ms=NOW_MS, fields=fields, except_site=except_site
    )
    found = store.aggregate(selection, every_ms=every_ms, aggregate=aggregate, limit=10_000)
    return found.resolution, found.buckets


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("mean", 2.0), ("min", 1.0), ("max", 3.0), ("sum", 6.0)]
)
def test_a_reading_two_hours_late_is_in_the_raw_the_minute_and_the_hour_answer(
    downsampled: Downsampled, aggregate: Aggregate, expected: float
) -> None:
    downsampled.store.write([reading(OLD_MS, {"a": 1.0}), reading(OLD_MS + 1, {"a": 2.0})])
    downsampled.roll_up()
    downsampled.store.write([reading(OLD_MS + 2, {"a": 3.0})])

    downsampled.roll_up()

    def values(hours: int, every_ms: int) -> tuple[str, list[dict[str, Value]]]:
        resolution, buckets = asked(downsampled.store, hours, every_ms, aggregate)
        return resolution, [bucket.values for bucket in buckets]

    assert values(8, 10_000) == ("raw", [{"a": expected}])
    assert values(8, MINUTE_MS) == ("1m", [{"a": expected}])
    assert values(24 * 8, HOUR_MS) == ("1h", [{"a": expected}])


@pytest.fixture(scope="module")
def nine_days(influxdb: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NineDays]:
    """The same readings up to now in a store with minutes and hours, and in one without."""
    plan = Plan(bucket=f"r-{uuid.uuid4().hex}")
    set_up(influxdb, plan, tmp_path_factory.mktemp("tokens"))
    start_ms = NOW_MS - 9 * 24 * HOUR_MS
    written = [
        reading(time_ms, {"a": float(time_ms % 1009), "b": time_ms % 7 - 3.5}, device=device)
        for device in ("d1", "d2")
        for time_ms in range(start_ms, NOW_MS, 29 * MINUTE_MS + 17_001)
    ]
    made = Downsampled(influxdb, plan)
    raw = fresh_influx_store(influxdb)
    for store in (made.store, raw):
        store.write(written)
    window = rollup.Window("-9d", "now()")
    with InfluxDBClient(
        url=influxdb.store_url, token=operator_token(influxdb).value, org="denyut"
    ) as client:
        for flux in (rollup.minutes(plan.bucket, window), rollup.hours(plan.bucket, window)):
            client.query_api().query(flux)
    yield raw, made.store
    made.close()
    raw.close()


@pytest.mark.parametrize("aggregate", ["mean", "min", "max", "sum"])
@pytest.mark.parametrize("every_ms", [MINUTE_MS, 7 * MINUTE_MS, HOUR_MS, 24 * HOUR_MS])
def test_a_long_range_answers_what_the_readings_would(
    nine_days: NineDays, aggregate: Aggregate, every_ms: int
) -> None:
    # Both edges, and all that is not settled yet, take part.
    raw, downsampled = nine_days
    hours = 24 * 8

    _, expected = asked(raw, hours, every_ms, aggregate)
    resolution, found = asked(downsampled, hours, every_ms, aggregate)

    assert resolution == ("1m" if every_ms % HOUR_MS else "1h")
    assert [(one.start_ms, one.device) for one in found] == [
        (one.start_ms, one.device) for one in expected
    ]
    for one, other in zip(found, expected, strict=True):
        assert one.values == pytest.approx(other.values)


def test_a_long_range_keeps_to_the_selected_fields_and_site(downsampled: Downsampled) -> None:
    written = [
        Reading(site, site, "m", time_ms, {"a": 1.0, "b": 2.0})
        for site in ("jakarta", "denyut")
        for time_ms in (OLD_MS, NOW_MS - 1000)
    ]
    downsampled.store.write(written)
    downsampled.roll_up()

    resolution, buckets = asked(
        downsampled.store, 8, MINUTE_MS, fields=("a",), except_site="denyut"
    )

    assert resolution == "1m"
    assert [(one.site, one.values) for one in buckets] == [("jakarta", {"a": 1.0})] * 2


def test_only_numbers_are_rolled_up_whatever_their_fields_are_called(
    downsampled: Downsampled,
) -> None:
    # `state` is a number in one measurement and none in another; a dot is no wildcard.
    downsampled.store.write(
        [
            Reading("s", "d", "m1", OLD_MS, {"state": 1.0, "ok": True, "note": "x", "a.b": 2.0}),
            Reading("s", "d", "m2", OLD_MS, {"state": True, "a_b": "text", "x.sum": 3.0}),
        ]
    )

    downsampled.roll_up()

    resolution, buckets = asked(downsampled.store, 8, MINUTE_MS)
    assert resolution == "1m"
    assert [(one.measurement, one.values) for one in buckets] == [
        ("m1", {"a.b": 2.0, "state": 1.0}),
        ("m2", {"x.sum": 3.0}),
    ]


def test_an_empty_bucket_is_rolled_up_without_an_error(downsampled: Downsampled) -> None:
    downsampled.roll_up()

    assert asked(downsampled.store, 8, MINUTE_MS) == ("1m", [])


def test_the_tasks_that_influxdb_runs_make_minutes_and_hours(
    downsampled: Downsampled, influxdb: LocalStack
) -> None:
    # An hour old, to the minute, of now: the tasks look back for ten minutes more than that.
    now_ms = time.time_ns() // 1_000_000
    over_ms = now_ms - now_ms % MINUTE_MS - HOUR_MS
    downsampled.store.write([reading(over_ms + n, {"a": a}) for n, a in enumerate((2.0, 4.0))])
    bucket = downsampled.plan.bucket

    with InfluxDBClient(
        url=influxdb.store_url, token=operator_token(influxdb).value, org="denyut"
    ) as client:
        for name in (f"{bucket}_1m", f"{bucket}_1h"):
            (task,) = client.tasks_api().find_tasks(name=name)
            client.tasks_api().run_manually(task.id, datetime.now(UTC))
            asked = f'from(bucket: "{name}") |> range(start: -3h)'

            def means(asked: str = asked) -> list[float]:
                found = client.query_api().query(asked)
                return [
                    one["_value"] for rows in found for one in rows if one["_field"] == "a.mean"
                ]

            eventually(lambda: means() == [3.0], deadline_seconds=30, what=name)
