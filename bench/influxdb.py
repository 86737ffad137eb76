"""InfluxDB as the store: what the API and our writer cost beside asking and writing directly."""

import http.client
import resource
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from influxdb_client import InfluxDBClient, Point, WriteOptions, WritePrecision

from bench.asking import Influxdb, get, interleaved, operator_token, percentile, rfc3339
from bench.row import Row
from stack.local import LocalStack
from telemetry.reading import Reading
from telemetry.store import Selection
from telemetry.store.influxdb import questions
from telemetry.store.influxdb.questions import Column, Question

_HOUR_MS = 3_600_000
_BATCH = 5000
_BATCHES = 8
_ROUNDS = 5
_MOST_OVER_P50_MS, _MOST_OVER_P99_MS = 1.5, 5.0
_MOST_OF_FLUX = 0.5
_MOST_OF_POINTS = 0.15
_FLAT = 1.2


def reading_through_the_api() -> Iterator[Row]:
    """The API with its caches off, and the same asked directly, each on one kept-alive connection.

    One device of 20, an hour of readings with two numbers, one a second. Flux is told the names of
    the fields; it then answers a row for each field and interval. Pivoted, it answers what the API
    does: a row for each interval.
    """
    with LocalStack() as local:
        local.start_broker()
        server = local.start_influxdb()
        now_ms = time.time_ns() // 1_000_000
        _fill_an_hour(local, now_ms)
        api = local.start_api(settings={"API_CACHE_MS": "0"})
        through_api = http.client.HTTPConnection(api.host, api.port, timeout=10)
        influxdb = Influxdb(server, operator_token(local))
        start, stop = rfc3339(now_ms - _HOUR_MS), rfc3339(now_ms)
        path = "/v1/devices/node-1"
        yield from _compared(
            "latest",
            lambda: get(through_api, f"{path}/latest"),
            partial(influxdb.ask, questions.latest_question(None, "node-1")),
            {"Flux": partial(influxdb.ask_flux, _LATEST_FLUX)},
        )
        query = f"start={start}&stop={stop}&every=10s&aggregate=mean"
        flux = _HOUR_FLUX.format(start=start, stop=stop)
        yield from _compared(
            "1 h at 10 s",
            lambda: get(through_api, f"{path}/readings?{query}"),
            partial(influxdb.ask, _hour_question(now_ms)),
            {
                "Flux": partial(influxdb.ask_flux, flux),
                "Flux pivoted": partial(influxdb.ask_flux, flux + _PIVOT),
            },
        )


def writing() -> Iterator[Row]:
    """CPU a written reading: ours, against influxdb-client's batching API with Point."""
    with LocalStack() as local:
        local.start_influxdb()
        store = local.open_store(read_only=False)
        of_few, of_many = (
            [_readings(number, series) for number in range(_BATCHES)] for series in (1000, 10_000)
        )
        ours, many, theirs = _cpu_us(
            lambda: [store.write(batch) for batch in of_few],
            lambda: [store.write(batch) for batch in of_many],
            partial(_write_points, local, of_few),
        )
        name = "store CPU a written reading, us, against batching Point"
        yield _ratio(name, ours, theirs, _MOST_OF_POINTS)
        name = "store CPU a written reading, us, 10,000 series against 1,000"
        yield _ratio(name, many, ours, _FLAT)
        store.close()


_LATEST_FLUX = 'from(bucket: "telemetry") |> range(start: -2h)\
 |> filter(fn: (r) => r.device == "node-1") |> last()'
_HOUR_FLUX = 'from(bucket: "telemetry") |> range(start: {start}, stop: {stop})\
 |> filter(fn: (r) => r.device == "node-1")\
 |> filter(fn: (r) => r._field == "a" or r._field == "b")\
 |> aggregateWindow(every: 10s, fn: mean, createEmpty: false)'
_PIVOT = ' |> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'


def _compared(
    name: str,
    ours: Callable[[], bytes],
    influxql: Callable[[], bytes],
    by_flux: dict[str, Callable[[], bytes]],
) -> Iterator[Row]:
    mine, directly, *fluxes = interleaved(ours, influxql, *by_flux.values())
    for percent, limit_ms in ((50, _MOST_OVER_P50_MS), (99, _MOST_OVER_P99_MS)):
        figure, least = percentile(mine, percent), percentile(directly, percent)
        row = f"api {name}, p{percent} in ms, over InfluxQL asked directly"
        target = f"<= {limit_ms:g} ms over"
        yield _row(row, figure, least, target, figure - least <= limit_ms)
    for asked, flux in zip(by_flux, fluxes, strict=True):
        row = f"api {name}, p50 in ms, against {asked} asked directly"
        yield _ratio(row, statistics.median(mine), statistics.median(flux), _MOST_OF_FLUX)


def _ratio(name: str, ours: float, theirs: float, most: float) -> Row:
    return _row(name, ours, theirs, f"<= {most:g}", ours / theirs <= most)


def _row(name: str, ours: float, baseline: float, target: str, reached: bool) -> Row:
    ratio = round(ours / baseline, 3)
    return Row(name, round(ours, 2), round(baseline, 2), ratio, target, reached, 4)


def _fill_an_hour(local: LocalStack, now_ms: int) -> None:
    store = local.open_store(read_only=False)
    for device in range(20):
        store.write(
            [
                Reading("s", f"node-{device}", "m", now_ms - n * 1000, {"a": n / 7, "b": 2.0}, 1, n)
                for n in range(3600)
            ]
        )
    store.close()


def _hour_question(now_ms: int) -> Question:
    selection = Selection(start_ms=now_ms - _HOUR_MS, stop_ms=now_ms, device="node-1")
    columns = {"m": [Column("mean", field, field, "mean") for field in ("a", "b")]}
    return questions.aggregate_question(selection, columns, 10_000, 10_000)


def _readings(number: int, series: int) -> list[Reading]:
    base_ms = time.time_ns() // 1_000_000 - _HOUR_MS + number
    return [
        Reading("s", f"w-{n % series}", "m", base_ms + n, {"a": n / 3, "b": 1.5, "c": True}, 1, n)
        for n in range(number * _BATCH, (number + 1) * _BATCH)
    ]


def _write_points(local: LocalStack, batches: list[list[Reading]]) -> None:
    options = WriteOptions(batch_size=_BATCH, flush_interval=1000)
    with (
        InfluxDBClient(url=local.store_url, token=operator_token(local), org="denyut") as client,
        client.write_api(write_options=options) as api,
    ):
        for batch in batches:
            api.write("telemetry", "denyut", [_point(reading) for reading in batch])


def _point(one: Reading) -> Point:
    point: Point = Point(one.measurement).tag("site", one.site).tag("device", one.device)
    for name, value in one.values.items():
        point.field(name, value)
    point.field("boot", one.boot_ms).field("seq", one.seq).time(one.time_ms, WritePrecision.MS)
    return point


def _cpu_us(*writes: Callable[[], object]) -> list[float]:
    """Return this process's CPU microseconds a reading, of each one's best of several rounds.

    What else runs on the machine makes CPU time longer, never shorter.
    """
    rounds = []
    for _round in range(_ROUNDS):
        used = []
        for write in writes:
            before = _cpu_seconds()
            write()
            used.append((_cpu_seconds() - before) / (_BATCHES * _BATCH) * 1e6)
        rounds.append(used)
    return [min(used) for used in zip(*rounds, strict=True)]


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
