"""A fleet whose every number is known, in InfluxDB: readings, gaps, silences, services' figures.

The figures have the names that the services themselves give them, and the API's own code counts the
gaps, so that a dashboard that finds its numbers here finds them in a real stack.
"""

import json
import time
from collections.abc import Iterator, Sequence
from math import sin
from typing import get_args

from msgspec import Struct

from api.cache import AnswerCache
from api.figures import Figures
from api.gaps import GapWatch
from api.status_board import StatusBoard
from ingest.tally import Tally
from ingest.tally import samples as ingest_samples
from loadtest.figures import MEASUREMENT
from loadtest.figures import samples as load_samples
from loadtest.objectives import Operation, Users
from sensors.counters import Counters
from stack.dashboards.pipeline import ROUTES, STREAM
from telemetry.latency import Latencies
from telemetry.metrics import Sample
from telemetry.reading import Reading, Value
from telemetry.store import Store
from telemetry.topics import OWN_SITE

_BATCH = 5_000
_HOUR_MS = 3_600_000
_SILENT_FOR_MS = 20 * 60_000
_STATION_EVERY = 60
_FLAT_STEPS = 60
_SITES = ("bandung", "surabaya", "cikarang")


class KnownFleet(Struct, frozen=True, kw_only=True):
    """What there is to be found; the first devices are silent, gaps are in the others' readings."""

    devices: int
    hours: float
    now_ms: int
    period_ms: int = 10_000
    silent: int = 7
    lost_at_qos_0: int = 23
    lost_at_qos_1: int = 0
    quarantined: int = 5
    broker_dropped: int = 11
    clients: int = 42
    load_users: int = 86

    @property
    def start_ms(self) -> int:
        """The time of the first readings."""
        return self.now_ms - round(self.hours * _HOUR_MS)

    @property
    def steps(self) -> int:
        """How many readings a device that is not silent makes of its first measurement."""
        return round(self.hours * _HOUR_MS) // self.period_ms

    def qos(self, device: int) -> int:
        """The level of a device."""
        return device % 3

    def name(self, device: int) -> str:
        """The name of a device."""
        return f"weather-{device:03d}"

    def lost_by(self, device: int) -> int:
        """How many readings of a device are missing in the store."""
        lost = (self.lost_at_qos_0, self.lost_at_qos_1, 0)[self.qos(device)]
        of_level = range(self.silent + (self.qos(device) - self.silent) % 3, self.devices, 3)
        share, rest = divmod(lost, len(of_level))
        return share + (of_level.index(device) < rest) if device in of_level else 0


def store_fleet(store: Store, reading: Store, fleet: KnownFleet) -> int:
    """Store readings and figures; return how many readings there are. `reading` is the API's."""
    count = store_readings(store, fleet)
    store_figures(store, reading, fleet)
    return count


def store_readings(store: Store, fleet: KnownFleet) -> int:
    """Store the devices' readings; return how many."""
    return sum(_store(store, _readings(fleet, device)) for device in range(fleet.devices))


def store_figures(store: Store, reading: Store, fleet: KnownFleet) -> None:
    """Store what the services tell of themselves, gaps as the API counts them by `reading`."""
    _store(store, _figures(reading, fleet))
    _store(store, _commands(fleet))


def statuses(fleet: KnownFleet) -> StatusBoard:
    """Return what the devices have told of themselves: those that are silent are offline."""
    board = StatusBoard(fleet.devices)
    for device in range(fleet.devices):
        state = "offline" if device < fleet.silent else "online"
        told = {"state": state, "qos": fleet.qos(device), "boot": fleet.start_ms}
        topic = f"status/{_SITES[device % len(_SITES)]}/{fleet.name(device)}"
        board.take(topic, json.dumps(told).encode(), retained=True, now_ms=fleet.now_ms)
    return board


def _store(store: Store, readings: Iterator[Reading]) -> int:
    count = 0
    batch: list[Reading] = []
    for reading in readings:
        batch.append(reading)
        if len(batch) == _BATCH:
            store.write(batch)
            count, batch = count + len(batch), []
    store.write(batch)
    return count + len(batch)


def _readings(fleet: KnownFleet, device: int) -> Iterator[Reading]:
    site, name = _SITES[device % len(_SITES)], fleet.name(device)
    last_ms = fleet.now_ms - (_SILENT_FOR_MS if device < fleet.silent else 0)
    # The gaps lie in the middle: neither the first reading nor the last one is missing.
    middle = fleet.steps // 2
    lost = range(middle, middle + fleet.lost_by(device))
    seq = 0
    for step in range(fleet.steps + 1):
        time_ms = fleet.start_ms + step * fleet.period_ms
        if time_ms > last_ms:
            return
        if step not in lost:
            values = _weather(device, step)
            yield Reading(site, name, "weather", time_ms, values, fleet.start_ms, seq)
        seq += 1
        if step % _STATION_EVERY == 0:
            of_station: dict[str, Value] = {"battery_voltage": 3.9, "charging": step % 2 == 0}
            yield Reading(site, name, "station", time_ms, of_station, fleet.start_ms, seq)
            seq += 1


def _weather(device: int, step: int) -> dict[str, Value]:
    temperature = 26 + 4 * sin(step / 1_375) + device % 7
    return {"temperature": temperature, "humidity": 110 - 2 * temperature, "wind_speed": 2.5}


def _figures(store: Store, fleet: KnownFleet) -> Iterator[Reading]:
    """Yield each service's figures at each step: counters rise to their last value."""
    last_of = {
        ("ingest-1", "denyut_ingest"): _ingest(fleet, 1),
        ("ingest-2", "denyut_ingest"): _ingest(fleet, 2),
        ("sensors-1", "denyut_sensors"): _sensors(fleet),
        ("api-1", "denyut_api"): _api(store, fleet),
        ("loadtest-1", MEASUREMENT): _load(fleet),
    }
    steps = round(fleet.hours * _HOUR_MS) // 10_000
    # What rises within a range's first interval is before the range: nothing does here.
    rising = steps - _FLAT_STEPS
    for step in range(steps + 1):
        time_ms = fleet.start_ms + step * 10_000
        risen = max(0, step - _FLAT_STEPS)
        for (client_id, measurement), samples in last_of.items():
            values: dict[str, Value] = {
                one.field: float(
                    one.value * risen / rising
                    if one.name.endswith("seconds")
                    else one.value * risen // rising
                    if one.kind == "counter"
                    else one.value
                )
                for one in samples
            }
            yield Reading(OWN_SITE, client_id, measurement, time_ms, values)


def _commands(fleet: KnownFleet) -> Iterator[Reading]:
    """Yield three commands to each device, of which the last one found nobody."""
    for device in range(fleet.devices):
        for number, outcome in enumerate(("done", "device-refused", "device-silent")):
            time_ms = fleet.now_ms - 1_000 * (3 * device + number)
            values: dict[str, Value] = {
                "to": fleet.name(device),
                "command": "set-period",
                "outcome": outcome,
                "milliseconds": 12.5,
            }
            yield Reading(OWN_SITE, "api-1", "denyut_commands", time_ms, values)


def _ingest(fleet: KnownFleet, number: int) -> Sequence[Sample]:
    """Return one of two processes: both take half of the readings, the first one all trouble."""
    each = fleet.steps * fleet.devices // 6
    tally = Tally(
        received=[each] * 3,
        written=[each] * 3,
        batches=each // 500,
        write_seconds=each / 500 * 0.012,
        messages=3 * each,
        in_flight=120,
        broker_queued=300,
        broker_clients=fleet.clients,
        # Both hear of the same messages.
        broker_dropped=fleet.broker_dropped,
        spool_budget_bytes=1_000_000_000,
        quarantine_budget_bytes=64_000_000,
    )
    if number == 1:
        tally.quarantined, tally.quarantine_bytes = fleet.quarantined, 12_345
        tally.repeated[1] = 17
        tally.write_retries = 4
    latencies = Latencies()
    for kind in ("0", "1", "2"):
        latencies.record(kind, [20] * 95 + [180] * 5)
    return list(ingest_samples(tally, latencies))


def _sensors(fleet: KnownFleet) -> Sequence[Sample]:
    counters = Counters()
    offered = fleet.steps * fleet.devices // 3
    counters.offered = [offered + fleet.lost_at_qos_0, offered, offered]
    counters.published = list(counters.offered)
    counters.acknowledged = [0, offered, offered]
    counters.connected = fleet.devices
    return list(counters.samples())


def _api(store: Store, fleet: KnownFleet) -> Sequence[Sample]:
    board, figures = statuses(fleet), Figures()
    for route in (*ROUTES, STREAM):
        for _request in range(300):
            figures.count_request(route, 200, 0.004)
        figures.count_request(route, 503, 0.001)
    gaps = GapWatch(board, 0)
    gaps.count(store)
    cache = AnswerCache(keep_seconds=1.0, max_answers=1, wait_seconds=1.0)
    return [*figures.samples(cache, board), *gaps.samples()]


def _load(fleet: KnownFleet) -> Sequence[Sample]:
    done = [Operation(one, one, 4_000, 10, 8, 12, 20) for one in get_args(Users)]
    return list(load_samples(fleet.load_users, done, done))


def now_ms() -> int:
    """Return the time in ms since the epoch."""
    return time.time_ns() // 1_000_000
