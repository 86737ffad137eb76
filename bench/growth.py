"""What a reading costs as the work grows, and what each service holds: figures for curves.

A row a point, named `… at AXIS=NUMBER`: docs/measured draws them.
"""

import http.client
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.asking import get, interleaved, percentile, rfc3339
from bench.generator import MANY_FLEET
from bench.pairs import interleaved as in_turn
from bench.pipeline import figure
from bench.rivals import Outcome, Trial, carry, ingest
from bench.row import Row
from stack import StackError
from stack.broker import Broker
from stack.local import LocalStack
from stack.process import Process
from stack.services import Service
from stack.waiting import holds_within
from telemetry.store import Store

_ISSUE = 11
_STEADY, _STEADY_READINGS = 10_000, 60_000
_FULL_READINGS = 120_000
_DEVICES = (100, 1_000, 5_000, 20_000)
_BATCHES = (100, 500, 5_000, 20_000)
_FIELDS = (1, 4, 16, 64)
_WINDOWS = (100, 1_000, 20_000, 60_000)
_STORED = (1_000_000, 3_000_000, 10_000_000)
_STORED_DEVICES, _WRITTEN_AT_ONCE = 100, 5_000
_ASKED = 200
_HOUR_MS = 3_600_000
_SETTLE_SECONDS = 20
_CONNECTED = (100, 1_000, 5_000)
_CONNECTED_WITHIN_SECONDS, _WATCHED_SECONDS = 180, 15
_MEGABYTE = 1_000_000


def by_devices(pairs: int) -> Iterator[Row]:
    """CPU a reading at one rate, over so many topics."""
    for devices, found in _carried(
        pairs, {devices: _steady(devices=devices) for devices in _DEVICES}
    ):
        yield _cpu_row("devices", devices, found)


def by_fields(pairs: int) -> Iterator[Row]:
    """CPU a reading at one rate, by the size of its payload."""
    trials = {fields: _steady(fields=fields) for fields in _FIELDS}
    for fields, found in _carried(pairs, trials):
        yield _cpu_row("fields", fields, found)


def by_batch(pairs: int) -> Iterator[Row]:
    """CPU a reading as fast as it goes, by how many are written at once at the most."""
    yield from _by_setting(pairs, "batch", "INGEST_BATCH_READINGS", _BATCHES)


def by_window(pairs: int) -> Iterator[Row]:
    """CPU a reading and readings a second, by how many may be unacknowledged."""
    yield from _by_setting(pairs, "window", "INGEST_RECEIVE_MAXIMUM", _WINDOWS)


def by_stored(_pairs: int) -> Iterator[Row]:
    """The API's answers, its caches off, by how many readings are stored."""
    with LocalStack() as local:
        local.start_broker()
        local.start_influxdb()
        stop_ms = time.time_ns() // 1_000_000
        store, stored = local.open_store(read_only=False), 0
        api = local.start_api(settings={"API_CACHE_MS": "0"})
        for wanted in _STORED:
            _fill(store, stop_ms, stored, wanted)
            stored = wanted
            # InfluxDB puts in order what was written: no question is to pay for it.
            time.sleep(_SETTLE_SECONDS)
            yield from _answers(api, stop_ms, stored)
        store.close()


def memory(_pairs: int) -> Iterator[Row]:
    """What each service holds with so many devices connected, each a reading every ten seconds."""
    for devices in _CONNECTED:
        with LocalStack() as local, TemporaryDirectory() as folder:
            path = Path(folder) / "many.toml"
            path.write_text(MANY_FLEET)
            for name, process in _connected(local, path, devices).items():
                held = process.usage().resident_bytes / _MEGABYTE
                yield _row(f"{name} memory MB", "devices", devices, held)


def _steady(*, devices: int = 1_000, fields: int = 4) -> Trial:
    return Trial(
        qos=1,
        readings=_STEADY_READINGS,
        readings_per_second=_STEADY,
        devices=devices,
        fields=fields,
    )


def _carried(pairs: int, trials: Mapping[int, Trial]) -> Iterator[tuple[int, list[Outcome]]]:
    """Run the trials in turn, so often; yield what each came to."""
    outcomes = in_turn(pairs, *(partial(carry, trial, ingest) for trial in trials.values()))
    yield from zip(trials, outcomes, strict=True)


def _by_setting(pairs: int, axis: str, setting: str, values: tuple[int, ...]) -> Iterator[Row]:
    def started(
        value: int, local: LocalStack, broker: Broker, store_url: str, _qos: int
    ) -> Process:
        settings = {"INGEST_STORE_URL": store_url, setting: str(value)}
        return local.start_ingest(broker=broker, settings=settings)

    trial = Trial(qos=1, readings=_FULL_READINGS)
    runs = [partial(carry, trial, partial(started, value)) for value in values]
    for value, found in zip(values, in_turn(pairs, *runs), strict=True):
        yield _cpu_row(axis, value, found)
        rate = median(one.readings_per_second for one in found)
        yield _row("ingest sustained readings/s", axis, value, rate)


def _cpu_row(axis: str, value: int, found: list[Outcome]) -> Row:
    return _row("ingest cpu per reading us", axis, value, median(one.cpu_us for one in found))


def _row(what: str, axis: str, value: int, measured: float) -> Row:
    return Row(f"{what} at {axis}={value}", round(measured, 2), None, None, "-", True, _ISSUE)


def _fill(store: Store, stop_ms: int, stored: int, wanted: int) -> None:
    """Write older and older readings, each device one a second, until so many are stored."""
    for begin in range(stored, wanted, _WRITTEN_AT_ONCE):
        numbers = range(begin, min(begin + _WRITTEN_AT_ONCE, wanted))
        store.write_lines([_line(number, stop_ms) for number in numbers])


def _line(number: int, stop_ms: int) -> bytes:
    device, age_seconds = number % _STORED_DEVICES, 1 + number // _STORED_DEVICES
    seq = 10_000_000 - age_seconds
    return b"weather,device=node-%d,site=s temperature=%d.%03d,boot=1i,seq=%di %d" % (
        device,
        20 + number % 9,
        number % 997,
        seq,
        stop_ms - 1_000 * age_seconds,
    )


def _answers(api: Service, stop_ms: int, stored: int) -> Iterator[Row]:
    connection = http.client.HTTPConnection(api.host, api.port, timeout=60)
    start, stop = rfc3339(stop_ms - _HOUR_MS), rfc3339(stop_ms)
    hour = f"/v1/devices/node-1/readings?start={start}&stop={stop}&every=10s&aggregate=mean"
    paths = {"latest": "/v1/devices/node-1/latest", "an hour at 10 s": hour, "fleet": "/v1/fleet"}
    questions = [partial(get, connection, path) for path in paths.values()]
    for name, times in zip(paths, interleaved(*questions, asked=_ASKED), strict=True):
        yield _row(f"api {name} p50 ms", "stored", stored, percentile(times, 50))


def _connected(local: LocalStack, path: Path, devices: int) -> dict[str, Process]:
    """Start all services and so many devices; return them once all devices have sent."""
    parts: dict[str, Process] = {
        "broker": local.start_broker(),
        "influxdb": local.start_influxdb(),
        "ingest": local.start_ingest(),
        "api": local.start_api(),
    }
    told = {"SENSORS_START_TIMEOUT_SECONDS": str(_CONNECTED_WITHIN_SECONDS)}
    fleet = local.start_fleet(path, devices=devices, qos="1", settings=told)
    parts["sensors"] = fleet

    def acknowledged() -> bool:
        return figure(fleet, "sensors", "acknowledged_readings") > devices

    if not holds_within(acknowledged, _CONNECTED_WITHIN_SECONDS):
        raise StackError(f"void: not all of {devices} devices have sent")
    time.sleep(_WATCHED_SECONDS)
    return parts
