"""A million rows as CSV through the API, and a chart of so many points: beside asking directly."""

import http.client
import os
import re
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.asking import (
    Influxdb,
    get,
    interleaved,
    operator_token,
    percentile,
    take,
)
from bench.row import Row, at_most
from stack import StackError
from stack.local import LocalStack
from stack.services import Service
from telemetry.reading import Reading, Value
from telemetry.store import Selection
from telemetry.store.influxdb import questions
from telemetry.store.influxdb.questions import Column

_READINGS = 1_000_000
_BATCH = 10_000
_ROUNDS = 3
_NUMBERS = ("humidity", "temperature")
_FIELDS = ("humidity", "running", "temperature")
_LEAST_OF_INFLUXDB = 0.6
_LEAST_BYTES_A_ROW = 50
_MOST_MEGABYTES = 150
_MEGABYTE = 1_000_000
_SETTLE_SECONDS = 30  # in which InfluxDB puts in order what was written: neither is to pay for it
_LOOK_EVERY_SECONDS = 0.25
_CHART_MS = 5 * 3_600_000
_CHART_POINTS = 300
_STEP_MS = 60_000
_CHART_ASKED = 200
_ISSUE = 7
_PSS = re.compile(r"^Pss: +(\d+) kB$", re.MULTILINE)


def million_rows() -> Iterator[Row]:
    """One device's million readings of three fields, as CSV: the API and InfluxDB in turns."""
    with _filled() as (api, influxdb, start_ms, stop_ms):
        question = questions.rows_question(
            Selection(start_ms=start_ms, stop_ms=stop_ms, device="node"),
            {"weather": ["boot", "seq", *_FIELDS]},
            2 * _READINGS,
            descending=False,
        )
        path = f"/v1/devices/node/readings?start={start_ms}&stop={stop_ms}&format=csv"
        connection = http.client.HTTPConnection(api.host, api.port, timeout=60)
        ours, theirs, most_bytes = [], [], 0
        for _round in range(_ROUNDS):
            with _watched(api) as held:
                ours.append(_rows_per_second(lambda: take(connection, path)))
            most_bytes = max(most_bytes, *held)
            theirs.append(_rows_per_second(lambda: influxdb.take_csv(question)))
    mine, baseline = statistics.median(ours), statistics.median(theirs)
    ratio = mine / baseline
    name = "api csv million rows, rows/s, against InfluxDB's own CSV"
    target = f">= {_LEAST_OF_INFLUXDB:g}"
    is_reached = ratio >= _LEAST_OF_INFLUXDB
    yield Row(name, round(mine), round(baseline), round(ratio, 3), target, is_reached, _ISSUE)
    name = "api csv million rows, memory of the API"
    yield at_most(name, most_bytes / _MEGABYTE, _MOST_MEGABYTES, "MB", issue=_ISSUE)


def chart() -> Iterator[Row]:
    """Five hours of readings, one a second, as 300 points; the caches are off."""
    with _filled(readings=_CHART_MS // 1_000) as (api, influxdb, start_ms, _stop_ms):
        begin_ms = start_ms + -start_ms % _STEP_MS
        end_ms = begin_ms + (_CHART_POINTS - 1) * _STEP_MS
        question = questions.aggregate_question(
            Selection(start_ms=begin_ms, stop_ms=end_ms, device="node"),
            {"weather": [Column("mean", name, name, "mean") for name in _NUMBERS]},
            _STEP_MS,
            _CHART_POINTS,
        )
        path = f"/v1/devices/node/readings?start={begin_ms}&stop={end_ms}&points={_CHART_POINTS}"
        connection = http.client.HTTPConnection(api.host, api.port, timeout=10)
        mine, directly = interleaved(
            lambda: get(connection, path), lambda: influxdb.ask(question), asked=_CHART_ASKED
        )
    for percent, limit_ms in ((50, 1.5), (99, 5.0)):
        ours, least = percentile(mine, percent), percentile(directly, percent)
        yield Row(
            f"api points={_CHART_POINTS} of 5 h, p{percent} in ms, over InfluxQL asked directly",
            round(ours, 2),
            round(least, 2),
            round(ours / least, 3),
            f"<= {limit_ms:g} ms over",
            ours - least <= limit_ms,
            _ISSUE,
        )


@contextmanager
def _filled(readings: int = _READINGS) -> Iterator[tuple[Service, Influxdb, int, int]]:
    """Fill a store with one device's readings, one a second up to now; start an API over it."""
    with LocalStack() as local:
        local.start_broker()
        server = local.start_influxdb()
        stop_ms = time.time_ns() // 1_000_000
        start_ms = stop_ms - readings * 1_000
        store = local.open_store(read_only=False)
        for begin in range(0, readings, _BATCH):
            numbers = range(begin, min(begin + _BATCH, readings))
            store.write([_reading(number, start_ms) for number in numbers])
        store.close()
        api = local.start_api(settings={"API_CACHE_MS": "0"})
        if readings > _CHART_MS // 1_000:
            time.sleep(_SETTLE_SECONDS)
        yield api, Influxdb(server, operator_token(local)), start_ms, stop_ms


def _reading(number: int, start_ms: int) -> Reading:
    values: dict[str, Value] = {
        "humidity": 50 + number % 777 / 13,
        "running": number % 2 == 0,
        "temperature": 20 + number % 1_000 / 97,
    }
    return Reading("s", "node", "weather", start_ms + 1_000 * number, values, start_ms, number)


def _rows_per_second(ask: Callable[[], int]) -> float:
    began = time.perf_counter()
    taken = ask()
    seconds = time.perf_counter() - began
    if taken < _LEAST_BYTES_A_ROW * _READINGS:
        raise StackError(f"void: only {taken} bytes came")
    return _READINGS / seconds


@contextmanager
def _watched(api: Service) -> Iterator[list[int]]:
    """Look at what memory the API holds meanwhile."""
    held, is_over = [_resident_bytes(api)], threading.Event()

    def watch() -> None:
        while not is_over.wait(_LOOK_EVERY_SECONDS):
            held.append(_resident_bytes(api))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        is_over.set()
        thread.join()


def _resident_bytes(api: Service) -> int:
    """Return the memory of the API's processes; what gunicorn's two share counts once (PSS)."""
    kilobytes = 0
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.getpgid(int(path.name)) == api.pid:
                shares = _PSS.search((path / "smaps_rollup").read_text())
                kilobytes += int(shares[1]) if shares else 0
    return kilobytes * 1024
