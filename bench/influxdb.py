"""InfluxDB as the store: what our writer and the API cost beside asking and writing directly."""

import http.client
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial

from influxdb_client import InfluxDBClient, Point, QueryApi, WriteOptions, WritePrecision

from bench.row import Row, at_most
from stack.local import LocalStack
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import Selection, Store
from telemetry.store.influxdb import questions
from telemetry.store.influxdb.session import InfluxSession, Place

_HOUR_MS = 3_600_000
_BATCH = 5000
_BATCHES = 8
_ASKED = 300
_MOST_OVER_P50_MS, _MOST_OVER_P99_MS = 1.5, 5.0


def reading_through_the_api() -> Iterator[Row]:
    """The API on one kept-alive connection, caches off, and the same asked directly."""
    with LocalStack() as local:
        local.start_broker()
        server = local.start_influxdb()
        now_ms = time.time_ns() // 1_000_000
        _fill_an_hour(local, now_ms)
        api = local.start_api(settings={"API_CACHE_MS": "0"})
        direct = _session(local)
        http_client = http.client.HTTPConnection(api.host, api.port, timeout=10)
        start, stop = _rfc3339(now_ms - _HOUR_MS), _rfc3339(now_ms)
        hour = f"/v1/devices/node-1/readings?start={start}&stop={stop}&every=10s&aggregate=mean"
        paths = {
            "latest": "/v1/devices/node-1/latest",
            "1 h at 10 s": hour,
            "1 h at 10 s of two named fields": f"{hour}&fields=a,b",
        }
        asked = {
            "latest": questions.latest_question(None, "node-1"),
            "1 h at 10 s": _hour_question(now_ms, None),
            "1 h at 10 s of two named fields": _hour_question(now_ms, ("a", "b")),
        }
        flux = _flux_questions(start, stop)
        with InfluxDBClient(url=server.url, token=_operator(local), org="denyut") as client:
            ask_flux = client.query_api()
            for name, path in paths.items():
                question = asked[name]
                ours, directly, by_flux = _interleaved(
                    partial(_get, http_client, path),
                    partial(direct.query, question.statement, question.bound),
                    partial(_ask_flux, ask_flux, flux[name]),
                )
                yield from _compared(name, ours, directly, by_flux)


def writing() -> Iterator[Row]:
    """CPU a written reading: ours, against influxdb-client's batching API with Point."""
    with LocalStack() as local:
        local.start_influxdb()
        store = local.open_store(read_only=False)
        made = [_readings(number, 1000) for number in range(_BATCHES + 1)]
        ours = _cpu_us(lambda number: store.write(made[number]))
        with InfluxDBClient(url=local.store_url, token=_operator(local), org="denyut") as client:
            options = WriteOptions(batch_size=_BATCH, flush_interval=1000)
            with client.write_api(write_options=options) as api:
                theirs = _cpu_us(
                    lambda number: api.write("telemetry", "denyut", _points(made[number]))
                )
        ratio = ours / theirs
        name = "store CPU a written reading, us, against batching Point"
        met = ratio <= 0.15
        yield Row(name, round(ours, 2), round(theirs, 2), round(ratio, 3), "<= 0.15", met, 4)
        few, many = (_cpu_us(partial(_write_series, store, series)) for series in (1000, 10_000))
        flat = many / few
        name = "store CPU a written reading, 10,000 series against 1,000"
        yield Row(name, round(many, 2), round(few, 2), round(flat, 3), "<= 1.2", flat <= 1.2, 4)


def _write_series(store: Store, series: int, number: int) -> None:
    store.write(_readings(number + 50, series))


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _ask_flux(api: QueryApi, flux: str) -> bytes:
    answer: bytes = api.query_raw(flux).data
    return answer


def _compared(
    name: str, ours: list[float], directly: list[float], by_flux: list[float]
) -> Iterator[Row]:
    p50, p99 = ((_percentile(ours, p) - _percentile(directly, p)) for p in (50, 99))
    over = "over InfluxQL asked directly"
    yield at_most(f"api {name}, p50 {over}", p50, _MOST_OVER_P50_MS, "ms", issue=4)
    yield at_most(f"api {name}, p99 {over}", p99, _MOST_OVER_P99_MS, "ms", issue=4)
    mine, flux = statistics.median(ours), statistics.median(by_flux)
    ratio = mine / flux
    row = f"api {name} p50, ms, against Flux asked directly"
    yield Row(row, round(mine, 2), round(flux, 2), round(ratio, 3), "<= 0.5", ratio <= 0.5, 4)


def _interleaved(*questions: Callable[[], object]) -> list[list[float]]:
    """Ask the questions in turn; return each one's times in ms."""
    times: list[list[float]] = [[] for _question in questions]
    for number in range(_ASKED + 20):
        for ask, found in zip(questions, times, strict=True):
            began = time.perf_counter()
            ask()
            if number >= 20:
                found.append((time.perf_counter() - began) * 1000)
    return times


def _percentile(times: list[float], percent: int) -> float:
    return statistics.quantiles(times, n=100)[percent - 1]


def _get(connection: http.client.HTTPConnection, path: str) -> bytes:
    connection.request("GET", path)
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        raise RuntimeError(f"{path}: {response.status} {body[:200]!r}")
    return body


def _fill_an_hour(local: LocalStack, now_ms: int) -> None:
    store = local.open_store(read_only=False)
    for device in range(20):
        store.write(
            [
                # A switch among the numbers, as devices have them.
                Reading(
                    "s",
                    f"node-{device}",
                    "m",
                    now_ms - n * 1000,
                    {"a": n / 7, "b": 2.0, "on": n % 2 == 0},
                    1,
                    n,
                )
                for n in range(3600)
            ]
        )
    store.close()


def _hour_question(now_ms: int, fields: tuple[str, ...] | None) -> questions.Question:
    selection = Selection(
        start_ms=now_ms - _HOUR_MS, stop_ms=now_ms, device="node-1", fields=fields
    )
    return questions.aggregate_question(selection, 10_000, "mean", 10_000, rolled_up=False)


def _flux_questions(start: str, stop: str) -> dict[str, str]:
    device = '|> filter(fn: (r) => r.device == "node-1")'
    hour = f'from(bucket: "telemetry") |> range(start: {start}, stop: {stop}) {device}'
    means = "|> aggregateWindow(every: 10s, fn: mean, createEmpty: false)"
    # Without a choice of fields, booleans among them fail the whole query: they go by their type.
    numbers = '|> filter(fn: (r) => types.isType(v: r._value, type: "float"))'
    named = '|> filter(fn: (r) => r._field == "a" or r._field == "b")'
    return {
        "latest": f'from(bucket: "telemetry") |> range(start: -2h) {device} |> last()',
        "1 h at 10 s": f'import "types"\n{hour} {numbers} {means}',
        "1 h at 10 s of two named fields": f"{hour} {named} {means}",
    }


def _session(local: LocalStack) -> InfluxSession:
    return InfluxSession(
        Place(local.store_url, "denyut", "telemetry"), Secret(_operator(local)), 10
    )


def _operator(local: LocalStack) -> str:
    return (local.folder / "influxdb" / "operator-token").read_text()


def _readings(number: int, series: int) -> list[Reading]:
    base_ms = time.time_ns() // 1_000_000 - _HOUR_MS + number
    return [
        Reading("s", f"w-{n % series}", "m", base_ms + n, {"a": n / 3, "b": 1.5, "c": True}, 1, n)
        for n in range(_BATCH)
    ]


def _points(readings: list[Reading]) -> list[Point]:
    return [
        Point(one.measurement)
        .tag("site", one.site)
        .tag("device", one.device)
        .field("a", one.values["a"])
        .field("b", one.values["b"])
        .field("c", one.values["c"])
        .field("boot", one.boot_ms)
        .field("seq", one.seq)
        .time(one.time_ms, WritePrecision.MS)
        for one in readings
    ]


def _cpu_us(write: Callable[[int], object]) -> float:
    """Return this process's CPU microseconds a reading."""
    write(0)
    before = _cpu_seconds()
    for number in range(1, _BATCHES + 1):
        write(number)
    return (_cpu_seconds() - before) / (_BATCHES * _BATCH) * 1e6


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
