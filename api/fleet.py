"""The fleet in one answer: how many devices, how fast, how fresh, and how it went lately."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from api import rates
from api.delivery import LEVELS, Latency, Level, latency
from api.quantities import Count, Milliseconds, Rate, Time
from api.roster import Device
from api.times import rfc3339
from telemetry.reading import Reading

MOST_STEPS = 300
_SHORTEST_STEP_MS = 1_000


class LevelNow(Struct, frozen=True):
    """One QoS level now: its devices, its stored readings per second, and its latency."""

    devices: Count
    online: Count
    readings_per_second: Rate | None
    latency_ms: Latency


class HistoryAnswer(Struct, frozen=True):
    """Stored readings per second by level, in steps from `start` on; null: not reported."""

    start: Time
    step_ms: Milliseconds
    readings_per_second: dict[Level, list[Rate | None]]


class FleetAnswer(Struct, frozen=True):
    """The fleet; `lag_ms` is the age of its newest reading, None where nothing is known.

    `states_current` is false while the API has no connection to the broker: states are then as
    they were last told.
    """

    time: Time
    devices: Count
    online: Count
    offline: Count
    unknown: Count
    states_current: bool
    series: Count
    last_seen: Time | None
    lag_ms: Milliseconds | None
    readings_per_second: Rate | None
    by_qos: dict[Level, LevelNow]
    history: HistoryAnswer


def fleet_answer(
    devices: Mapping[str, Device],
    ingest: Sequence[Reading],
    *,
    series: int,
    states_current: bool,
    now_ms: int,
    history_ms: int,
) -> FleetAnswer:
    """Put the answer together from the devices and the recent figures of ingest."""
    processes = list(rates.by_process(ingest).values())
    now = {level: _level(level, devices, processes, now_ms) for level in LEVELS}
    states = [device.state for device in devices.values()]
    known = [rate for one in now.values() if (rate := one.readings_per_second) is not None]
    last_ms = max((one.last_ms for one in devices.values() if one.last_ms is not None), default=-1)
    return FleetAnswer(
        time=rfc3339(now_ms),
        devices=len(devices),
        online=states.count("online"),
        offline=states.count("offline"),
        unknown=states.count("unknown"),
        states_current=states_current,
        series=series,
        last_seen=rfc3339(last_ms) if last_ms >= 0 else None,
        lag_ms=max(0, now_ms - last_ms) if last_ms >= 0 else None,
        readings_per_second=round(sum(known), 3) if known else None,
        by_qos=now,
        history=_history(processes, now_ms, history_ms),
    )


def _level(
    level: Level,
    devices: Mapping[str, Device],
    processes: Sequence[Sequence[Reading]],
    now_ms: int,
) -> LevelNow:
    own = [one for one in devices.values() if one.status and str(one.status.qos) == level]
    rate = rates.current_rate(processes, f"written_readings_qos{level}", now_ms)
    reporting = [figures[-1] for figures in processes if rates.is_reporting(figures, now_ms)]
    return LevelNow(
        devices=len(own),
        online=sum(one.state == "online" for one in own),
        readings_per_second=None if rate is None else round(rate, 3),
        latency_ms=latency(reporting, level),
    )


def _history(processes: Sequence[Sequence[Reading]], now_ms: int, history_ms: int) -> HistoryAnswer:
    found = rates.history(
        processes,
        {level: f"written_readings_qos{level}" for level in LEVELS},
        start_ms=now_ms - history_ms,
        now_ms=now_ms,
        step_ms=_step_ms(processes, history_ms),
    )
    rounded: dict[Level, list[float | None]] = {
        level: [None if rate is None else round(rate, 3) for rate in found.rates[level]]
        for level in LEVELS
    }
    return HistoryAnswer(rfc3339(found.start_ms), found.step_ms, rounded)


def _step_ms(processes: Sequence[Sequence[Reading]], history_ms: int) -> int:
    # A step shorter than the time between two figures would draw stairs.
    usual_ms = max((rates.usual_interval_ms(figures) for figures in processes), default=0)
    seconds = round(max(usual_ms, history_ms / MOST_STEPS) / 1_000)
    return max(_SHORTEST_STEP_MS, seconds * 1_000)
