"""What holding costs: the API's answers by what is stored, each service's memory by its devices."""

import http.client
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bench.asking import get, rfc3339
from bench.generator import MANY_FLEET
from bench.growth import point
from bench.pipeline import figure
from bench.row import Row
from stack import StackError
from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.process import Process
from stack.services import Service
from stack.waiting import holds_within
from telemetry.store import Store

_STORED = (1_000_000, 3_000_000, 10_000_000)
_STORED_DEVICES, _PERIOD_MS, _WRITTEN_AT_ONCE = 100, 10_000, 20_000
_ASKED, _UNCOUNTED = 60, 5
_HOUR_MS = 3_600_000
_IDLE_WITHIN_SECONDS, _IDLE_CORES = 60, 0.05
_CONNECTED = (100, 1_000, 5_000)
_CONNECTED_WITHIN_SECONDS, _WATCHED_SECONDS = 180, 10
_ANSWERED_WITHIN_SECONDS = 30
_MEGABYTE = 1_000_000


def by_stored(_rounds: int) -> Iterator[Row]:
    """The API's answers, its caches off, of 100 devices with so many readings, one in 10 s each."""
    with LocalStack() as local:
        local.start_broker()
        server = local.start_influxdb()
        stop_ms = time.time_ns() // 1_000_000
        store, stored = local.open_store(read_only=False), 0
        # The count of all that is stored goes on beside the answers; it has its own limit.
        settings = {"API_CACHE_MS": "0", "API_GAPS_INTERVAL_SECONDS": "0"}
        api = local.start_api(settings=settings)
        for wanted in _STORED:
            _fill(store, stop_ms, stored, wanted)
            stored = wanted
            # InfluxDB puts in order what was written: no question is to pay for it.
            holds_within(partial(_is_idle, server), _IDLE_WITHIN_SECONDS)
            yield from _answers(api, server, stop_ms, stored)
        store.close()


def memory(_rounds: int) -> Iterator[Row]:
    """What each service holds with so many devices connected, each a reading every ten seconds."""
    for devices in _CONNECTED:
        with LocalStack() as local, TemporaryDirectory() as folder:
            path = Path(folder) / "many.toml"
            path.write_text(MANY_FLEET)
            for name, process in _connected(local, path, devices).items():
                held = process.usage().resident_bytes / _MEGABYTE
                yield point(f"{name} memory MB", "connected", devices, held)


def _fill(store: Store, stop_ms: int, stored: int, wanted: int) -> None:
    """Write what was before what is stored, in order of time."""
    begin, end = -(-wanted // _STORED_DEVICES), stored // _STORED_DEVICES
    at_once = _WRITTEN_AT_ONCE // _STORED_DEVICES
    for first in range(begin, end, -at_once):
        store.write_lines(
            [
                _line(device, stop_ms, back)
                for back in range(first, max(end, first - at_once), -1)
                for device in range(_STORED_DEVICES)
            ],
            divisible=True,
        )


def _line(device: int, stop_ms: int, back: int) -> bytes:
    """Return the line of a device's reading that is so many before the time."""
    return b"weather,device=node-%d,site=s temperature=%d.%03d,boot=1i,seq=%di %d" % (
        device,
        20 + back % 9,
        (back + device) % 997,
        _STORED[-1] - back,
        stop_ms - _PERIOD_MS * back,
    )


def _is_idle(server: Influxd) -> bool:
    before = server.usage().cpu_seconds
    time.sleep(1)
    return server.usage().cpu_seconds - before < _IDLE_CORES


def _answers(api: Service, server: Influxd, stop_ms: int, stored: int) -> Iterator[Row]:
    """Yield how long answers take, and what CPU they take of the API and InfluxDB together."""
    connection = http.client.HTTPConnection(api.host, api.port, timeout=60)
    start, stop = rfc3339(stop_ms - _HOUR_MS), rfc3339(stop_ms)
    hour = f"/v1/devices/node-1/readings?start={start}&stop={stop}&every=10s&aggregate=mean"
    paths = {
        "fleet": "/v1/fleet",
        "devices": "/v1/devices",
        "latest of all": "/v1/latest",
        "latest of one": "/v1/devices/node-1/latest",
        "an hour at 10 s": hour,
    }
    for name, path in paths.items():
        ask = partial(get, connection, path)
        for _ in range(_UNCOUNTED):
            ask()
        before = _cpu_seconds(api, server)
        times = [_took_ms(ask) for _ in range(_ASKED)]
        used = _cpu_seconds(api, server) - before
        yield point(f"api {name} p50 ms", "stored", stored, median(times))
        yield point(f"api {name} cpu ms", "stored", stored, used * 1_000 / _ASKED)


def _took_ms(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1_000


def _cpu_seconds(*parts: Process) -> float:
    return sum(part.usage().cpu_seconds for part in parts)


def _connected(local: LocalStack, path: Path, devices: int) -> dict[str, Process]:
    """Start all services and so many devices; return them once all devices have sent."""
    parts: dict[str, Process] = {
        "broker": local.start_broker(),
        "influxdb": local.start_influxdb(),
        "ingest": local.start_ingest(),
    }
    api = parts["api"] = local.start_api()
    told = {"SENSORS_START_TIMEOUT_SECONDS": str(_CONNECTED_WITHIN_SECONDS)}
    fleet = local.start_fleet(path, devices=devices, qos="1", settings=told)
    parts["sensors"] = fleet

    def acknowledged() -> bool:
        return figure(fleet, "sensors", "acknowledged_readings") > devices

    if not holds_within(acknowledged, _CONNECTED_WITHIN_SECONDS):
        raise StackError(f"void: not all of {devices} devices have sent")
    for question in ("/v1/fleet", "/v1/latest"):
        api.get(question, _ANSWERED_WITHIN_SECONDS)
    time.sleep(_WATCHED_SECONDS)
    return parts
