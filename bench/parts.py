"""What one reading costs each part, in CPU: what a fleet's size is worked out by."""

import time
from collections.abc import Iterator, Mapping

from bench.pipeline import FLEET, figure
from bench.row import Row
from stack import StackError
from stack.local import LocalStack
from stack.process import Process
from stack.services import Service
from stack.waiting import holds_within

_DEVICES = 1000
_READINGS_PER_SECOND = 5000
_MEASURED_SECONDS = 10
_UNDER_WAY_WITHIN_SECONDS = 120


def cpu_by_part() -> Iterator[Row]:
    """5,000 readings/s at QoS 1 into InfluxDB: each part's CPU a stored reading."""
    with LocalStack() as local:
        parts: dict[str, Process] = {
            "broker": local.start_broker(),
            "influxd": local.start_influxdb(),
        }
        ingest = parts["ingest"] = local.start_ingest()
        parts["sensors"] = local.start_fleet(FLEET, devices=_DEVICES, qos="1")
        costs_us = cpu_us_a_reading(ingest, parts, _MEASURED_SECONDS)
    for name, cost_us in costs_us.items():
        yield Row(f"{name} CPU a stored reading, us", round(cost_us, 1), None, None, "-", True, 6)


def cpu_us_a_reading(
    ingest: Service, parts: Mapping[str, Process], seconds: float
) -> dict[str, float]:
    """Return each part's CPU a stored reading over so long a time, once the fleet is under way.

    StackError where it is not the 5,000 readings/s of `steady.toml`.
    """

    def written() -> float:
        return figure(ingest, "ingest", "written_readings")

    if not holds_within(lambda: written() > 2 * _READINGS_PER_SECOND, _UNDER_WAY_WITHIN_SECONDS):
        raise StackError(f"void: not under way within {_UNDER_WAY_WITHIN_SECONDS} s")
    readings = written()
    before = {name: part.usage().cpu_seconds for name, part in parts.items()}
    time.sleep(seconds)
    readings = written() - readings
    used = {name: part.usage().cpu_seconds - before[name] for name, part in parts.items()}
    if readings < 0.95 * _READINGS_PER_SECOND * seconds:
        raise StackError(f"void: only {readings:.0f} readings in {seconds} s")
    return {name: one / readings * 1e6 for name, one in used.items()}
