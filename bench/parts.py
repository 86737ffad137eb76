"""What one reading costs each part, in CPU: what a fleet's size is worked out by."""

import time
from collections.abc import Iterator

from bench.pipeline import FLEET, figure
from bench.row import Row
from stack import StackError
from stack.local import LocalStack
from stack.waiting import holds_within

_DEVICES = 1000
_READINGS_PER_SECOND = 5000
_MEASURED_SECONDS = 20
_UNDER_WAY_WITHIN_SECONDS = 60


def cpu_by_part() -> Iterator[Row]:
    """5,000 readings/s at QoS 1 into InfluxDB: each part's CPU a stored reading."""
    with LocalStack() as local:
        parts = {"broker": local.start_broker(), "influxd": local.start_influxdb()}
        ingest = parts["ingest"] = local.start_ingest()
        parts["sensors"] = local.start_fleet(FLEET, devices=_DEVICES, qos="1")

        def written() -> float:
            return figure(ingest, "ingest", "written_readings")

        if not holds_within(
            lambda: written() > 2 * _READINGS_PER_SECOND, _UNDER_WAY_WITHIN_SECONDS
        ):
            raise StackError(f"void: not under way within {_UNDER_WAY_WITHIN_SECONDS} s")
        readings = written()
        before = {name: part.usage().cpu_seconds for name, part in parts.items()}
        time.sleep(_MEASURED_SECONDS)
        readings = written() - readings
        used = {name: part.usage().cpu_seconds - before[name] for name, part in parts.items()}
    if readings < 0.95 * _READINGS_PER_SECOND * _MEASURED_SECONDS:
        raise StackError(f"void: only {readings:.0f} readings in {_MEASURED_SECONDS} s")
    for name, seconds in used.items():
        cost_us = round(seconds / readings * 1e6, 1)
        yield Row(f"{name} CPU a stored reading, us", cost_us, None, None, "-", True, 6)
