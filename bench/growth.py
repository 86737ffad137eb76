"""What a reading costs as the work grows: CPU by devices, size, batch and window, for curves.

A row a point, named `… at AXIS=NUMBER`: docs/measured draws them. CPU is each process's own, so
that a machine that does other work as well tells nearly the same.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from statistics import median

from msgspec.structs import replace

from bench.pairs import interleaved
from bench.rivals import Outcome, Trial, carry, ingest
from bench.row import Row
from stack import StackError
from stack.broker import Broker
from stack.local import LocalStack
from stack.process import Process

ROUNDS = 2
"""How often each point is measured."""

_ISSUE = 11
_DEVICES = (100, 1_000, 5_000, 20_000)
_FIELDS = (1, 4, 16, 32)
_BATCHES = (100, 500, 2_000, 10_000)
_WINDOWS = (100, 500, 2_000, 20_000)
# Each device has sent before CPU counts: what it costs once would hide what it costs from then on.
_ONCE = max(_DEVICES)
_STEADY, _STEADY_READINGS = 10_000, _ONCE + 40_000
_FULL_READINGS = 80_000
# More than 32 fields at this rate are more than InfluxDB takes on a core.
_SIZED, _SIZED_ONCE, _SIZED_READINGS = 5_000, 5_000, 35_000
# The cost is that of a rate, not of a moment: so late, the rate of the run is still the same.
_MOST_LATE_MS = 500
_LEAST_SHARE = 0.8


def by_devices(rounds: int) -> Iterator[Row]:
    """CPU a reading at one rate, over so many topics."""
    trial = _steady(_STEADY, _ONCE, _STEADY_READINGS)
    trials = {devices: replace(trial, devices=devices) for devices in _DEVICES}
    yield from _carried(rounds, "devices", trials)


def by_fields(rounds: int) -> Iterator[Row]:
    """CPU a reading at one rate, by the size of its payload."""
    trial = _steady(_SIZED, _SIZED_ONCE, _SIZED_READINGS)
    trials = {fields: replace(trial, fields=fields) for fields in _FIELDS}
    yield from _carried(rounds, "fields", trials)


def by_batch(rounds: int) -> Iterator[Row]:
    """CPU a reading as fast as it goes, by how many are written at once at the most."""
    yield from _by_setting(rounds, "batch", "INGEST_BATCH_READINGS", _BATCHES)


def by_window(rounds: int) -> Iterator[Row]:
    """CPU a reading as fast as it goes, by how many may be unacknowledged."""
    yield from _by_setting(rounds, "window", "INGEST_RECEIVE_MAXIMUM", _WINDOWS)


def point(what: str, axis: str, value: int, measured: float) -> Row:
    """Return the row of a point of a curve."""
    return Row(f"{what} at {axis}={value}", round(measured, 2), None, None, "-", True, _ISSUE)


def _steady(readings_per_second: float, uncounted: int, readings: int) -> Trial:
    return Trial(
        qos=1,
        readings=readings,
        readings_per_second=readings_per_second,
        uncounted=uncounted,
        most_late_ms=_MOST_LATE_MS,
    )


def _at_its_rate(trial: Trial) -> Outcome:
    """Carry it; StackError where not all kept up with the rate."""
    found = carry(trial, ingest)
    if found.readings_per_second < _LEAST_SHARE * trial.readings_per_second:
        raise StackError(f"void: only {found.readings_per_second:,.0f} readings/s were stored")
    return found


def _carried(rounds: int, axis: str, trials: Mapping[int, Trial]) -> Iterator[Row]:
    """Run the trials in turn, so often; yield what each part took."""
    runs = [partial(_at_its_rate, trial) for trial in trials.values()]
    for value, found in zip(trials, interleaved(rounds, *runs), strict=True):
        yield from _points(axis, value, found)


def _by_setting(rounds: int, axis: str, setting: str, values: tuple[int, ...]) -> Iterator[Row]:
    def started(
        value: int, local: LocalStack, broker: Broker, store_url: str, _qos: int
    ) -> Process:
        settings = {"INGEST_STORE_URL": store_url, setting: str(value)}
        return local.start_ingest(broker=broker, settings=settings)

    # What the broker has passed on waits in ingest: all of it counts, from the first reading on.
    trial = Trial(qos=1, readings=_FULL_READINGS)
    runs = [partial(carry, trial, partial(started, value)) for value in values]
    for value, found in zip(values, interleaved(rounds, *runs), strict=True):
        yield from _points(axis, value, found)


def _points(axis: str, value: int, found: list[Outcome]) -> Iterator[Row]:
    costs = {
        "ingest": [one.cpu_us for one in found],
        "influxdb": [one.store_cpu_us for one in found],
        "broker": [one.broker_cpu_us for one in found],
    }
    for part, costs_us in costs.items():
        yield point(f"{part} cpu per reading us", axis, value, median(costs_us))
