"""What the delivery promise costs: acknowledging after the write, and an outage of the store."""

import time
from collections.abc import Callable, Iterator

from bench.parts import cpu_us_a_reading
from bench.pipeline import FLEET, figure
from bench.row import Row, at_most
from stack import StackError
from stack.local import LocalStack
from stack.services import Service
from stack.waiting import holds_within

_DEVICES = 1000
_READINGS_PER_SECOND = 5000
_MEASURED_SECONDS = 8
_PAIRS = 3
_AWAY_SECONDS = 20
_DRAINED_WITHIN_SECONDS = 120
_EARLY = "tests.e2e.early_acknowledgement"
_MEGABYTE = 1_000_000


def cost_of_the_promise() -> Iterator[Row]:
    """CPU a reading of ingest as it is, against one that acknowledges at once; in turns."""
    ours: list[float] = []
    early: list[float] = []
    for _pair in range(_PAIRS):
        ours.append(_cpu_us_a_reading("ingest"))
        early.append(_cpu_us_a_reading(_EARLY))
    mine, theirs = sorted(ours)[_PAIRS // 2], sorted(early)[_PAIRS // 2]
    ratio = mine / theirs
    name = "ingest CPU a reading, us, acknowledged after the write against at once"
    yield Row(name, round(mine, 1), round(theirs, 1), round(ratio, 3), "<= 1.25", ratio <= 1.25, 5)


def outage() -> Iterator[Row]:
    """InfluxDB killed for a while at 5,000 readings/s: memory meanwhile, and draining after it."""
    with LocalStack() as local:
        local.start_broker()
        influxd = local.start_influxdb()
        ingest = local.start_ingest()
        local.start_fleet(FLEET, devices=_DEVICES, qos="1")
        _wait(lambda: figure(ingest, "ingest", "written_readings") > _READINGS_PER_SECOND)
        influxd.kill()
        most_bytes = _watch(ingest, _AWAY_SECONDS)
        spooled = figure(ingest, "ingest", "spooled_readings")
        if not spooled:
            raise StackError("void: nothing was spooled")
        influxd.start()
        replayed, live = _drain(ingest)
        most_bytes = max(most_bytes, ingest.usage().resident_bytes)
    ratio = replayed / live
    name = "ingest drain of the spool, readings/s, against those that came live"
    yield Row(name, round(replayed), round(live), round(ratio, 2), ">= 3", ratio >= 3, 5)
    yield at_most("ingest memory in an outage", most_bytes / _MEGABYTE, 256, "MB", issue=5)


def _cpu_us_a_reading(module: str) -> float:
    with LocalStack() as local:
        local.start_broker()
        ingest = local.start_ingest(module=module)
        local.start_fleet(FLEET, devices=_DEVICES, qos="1")
        return cpu_us_a_reading(ingest, {"ingest": ingest}, _MEASURED_SECONDS)["ingest"]


def _watch(ingest: Service, seconds: float) -> int:
    """Return the most bytes of memory that ingest held in this time."""
    most_bytes = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        most_bytes = max(most_bytes, ingest.usage().resident_bytes)
        time.sleep(0.2)
    return most_bytes


def _drain(ingest: Service) -> tuple[float, float]:
    """Wait for an empty spool; return the readings a second out of it, and those that came live."""
    _wait(lambda: figure(ingest, "ingest", "replayed_readings") > 0)
    began, before = time.monotonic(), _replayed_and_received(ingest)
    _wait(lambda: figure(ingest, "ingest", "spooled_readings") == 0)
    seconds, after = time.monotonic() - began, _replayed_and_received(ingest)
    return (after[0] - before[0]) / seconds, (after[1] - before[1]) / seconds


def _replayed_and_received(ingest: Service) -> tuple[float, float]:
    names = ("replayed_readings", "received_readings")
    replayed, received = (figure(ingest, "ingest", name) for name in names)
    return replayed, received


def _wait(condition: Callable[[], bool]) -> None:
    if not holds_within(condition, _DRAINED_WITHIN_SECONDS):
        raise StackError(f"void: not reached within {_DRAINED_WITHIN_SECONDS} s")
