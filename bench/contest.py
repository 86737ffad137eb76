"""Ingest beside Telegraf, the broker's own limit, and itself: the figures of the fast path."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import TypeVar

from bench.broker import delivered, load_for, part, start_broker
from bench.confirmations import Confirmed
from bench.governor import held_to
from bench.load import Sent
from bench.pairs import at_least_times, at_most_times, interleaved
from bench.rivals import (
    Outcome,
    Rival,
    Trial,
    carry,
    check_stored,
    confirm,
    ingest,
    stored_points,
    telegraf,
    watched,
)
from bench.row import Row
from bench.telegraf import TelegrafMissing, find_telegraf
from stack import StackError
from stack.local import LocalStack
from stack.services import Service
from stack.waiting import holds_within

_STEADY = 10_000  # readings a second that either carries with room to spare
_STEADY_READINGS = 40_000
_DEVICES_READINGS = 60_000
_FULL = Trial(qos=1, readings=150_000)
_PACKS = Trial(qos=1, readings=600_000, pack=20)
_PACKED_RATE = 100_000
_LATENCY = Trial(qos=1, readings=30_000, readings_per_second=5_000)
_SHARE = 0.25
_SHARE_READINGS = 80_000
_START = Trial(qos=0, readings=4_000, readings_per_second=1_000)
_START_AFTER_SECONDS = 0.5
_DRAINED_WITHIN_SECONDS = 120
_LOOK_SECONDS = 0.1  # an answer costs InfluxDB 5 ms: fifty looks a second were a fifth of a core
_MEGABYTE = 1_000_000
_NOT_HERE = "Telegraf is not here"

Result = TypeVar("Result")


def cost(pairs: int) -> Iterator[Row]:
    """CPU a stored reading at a rate that either carries, acknowledged after the store's 204."""
    for qos, most in ((1, 0.40), (0, 0.50)):
        trial = Trial(qos=qos, readings=_STEADY_READINGS, readings_per_second=_STEADY)
        mine, theirs = _against_telegraf(pairs, partial(carry, trial))
        name = f"ingest cpu per reading qos{qos} vs telegraf"
        yield at_most_times(name, _cpu(mine), _cpu(theirs), most, _NOT_HERE)


def full_rate(pairs: int) -> Iterator[Row]:
    """As fast as it goes at QoS 1, one reading a message: Telegraf, and who only acknowledges."""
    mine: list[Outcome] = []
    theirs: list[Outcome] = []
    raw: list[float] = []
    for _ in range(pairs):
        ours, peers = _against_telegraf(1, partial(carry, _FULL))
        mine, theirs = mine + ours, theirs + peers
        raw += interleaved(1, lambda: delivered(1, _FULL.readings).messages_per_second)[0]
    at = "qos1 at full rate vs telegraf"
    name = "ingest sustained readings/s qos1 vs telegraf"
    yield at_least_times(name, _rates(mine), _rates(theirs), 1.6, _NOT_HERE)
    name = "ingest sustained readings/s qos1 vs raw subscriber"
    yield at_least_times(name, _rates(mine), raw, 0.85)
    yield at_most_times(f"ingest cpu per reading {at}", _cpu(mine), _cpu(theirs), 0.4, _NOT_HERE)
    yield at_most_times(f"ingest peak memory MB {at}", _peaks(mine), _peaks(theirs), 0.3, _NOT_HERE)


def packed(pairs: int) -> Iterator[Row]:
    """The same with 20 readings a message, all parts on this machine; and memory at that rate."""
    mine, theirs = _against_telegraf(pairs, partial(carry, _PACKS))
    name = "ingest sustained readings/s qos1 packs of 20 vs 100,000"
    yield at_least_times(name, _rates(mine), [_PACKED_RATE], 1.5)
    name = "ingest peak memory MB qos1 packs of 20 vs telegraf"
    yield at_most_times(name, _peaks(mine), _peaks(theirs), 0.3, _NOT_HERE)


def latency(pairs: int) -> Iterator[Row]:
    """From when a reading is due to when it can be asked for, at 5,000 readings/s."""

    def p99_ms(rival: Rival) -> float:
        return confirm(_LATENCY, rival).percentile(99)

    mine, theirs = _against_telegraf(pairs, p99_ms)
    name = "ingest due to queryable p99 ms at 5,000 readings/s vs telegraf"
    yield at_most_times(name, mine, theirs, 0.8, _NOT_HERE)


def devices(pairs: int) -> Iterator[Row]:
    """CPU a reading of 10,000 devices, by topics, against 100, once each has sent one."""
    many, few = (
        Trial(
            qos=1,
            readings=_DEVICES_READINGS,
            readings_per_second=_STEADY,
            devices=count,
            uncounted=count,
        )
        for count in (10_000, 100)
    )
    mine, baseline = interleaved(pairs, partial(carry, many, ingest), partial(carry, few, ingest))
    yield at_most_times(
        "ingest cpu per reading 10,000 devices vs 100", _cpu(mine), _cpu(baseline), 1.2
    )


def two_processes(pairs: int) -> Iterator[Row]:
    """Two processes of one group against one, each held to a quarter of a core."""
    two, one = interleaved(pairs, lambda: _drained_a_second(2), lambda: _drained_a_second(1))
    name = "ingest readings/s two processes vs one, a quarter of a core each"
    yield at_least_times(name, two, one, 1.8)


def start(pairs: int) -> Iterator[Row]:
    """From the start of the process to the first reading that is stored."""
    mine, theirs = _against_telegraf(pairs, _first_stored_ms)
    name = "ingest start to first stored reading ms vs telegraf"
    yield at_most_times(name, mine, theirs, 1.0, _NOT_HERE)


def _against_telegraf(
    pairs: int, run: Callable[[Rival], Result]
) -> tuple[list[Result], list[Result]]:
    """Run ingest and Telegraf in turn; of Telegraf nothing comes where it is not here."""
    try:
        find_telegraf()
    except TelegrafMissing:
        (mine,) = interleaved(pairs, lambda: run(ingest))
        return mine, []
    mine, theirs = interleaved(pairs, lambda: run(ingest), lambda: run(telegraf))
    return mine, theirs


def _cpu(outcomes: list[Outcome]) -> list[float]:
    return [one.cpu_us for one in outcomes]


def _rates(outcomes: list[Outcome]) -> list[float]:
    return [one.readings_per_second for one in outcomes]


def _peaks(outcomes: list[Outcome]) -> list[float]:
    return [one.peak_bytes / _MEGABYTE for one in outcomes]


def _drained_a_second(processes: int) -> float:
    """Let so many store what waits for them at the broker; return the readings a second."""
    readings = processes * _SHARE_READINGS
    with LocalStack() as local, ExitStack() as held:
        broker, server = start_broker(local), local.start_influxdb()
        group = {"INGEST_SHARE_GROUP": "bench"}
        members = [
            local.start_ingest(f"ingest-{number + 1}", settings=group)
            for number in range(processes)
        ]
        _signal(members, signal.SIGSTOP)
        with part("bench.load", load_for(broker, qos=1, readings=readings)) as generator:
            generator.begin()
            generator.answer(Sent)
        before, began_s = stored_points(server), time.monotonic()
        for member in members:
            held.enter_context(held_to(member, _SHARE))
        _signal(members, signal.SIGCONT)
        if not holds_within(
            lambda: stored_points(server) >= before + readings,
            _DRAINED_WITHIN_SECONDS,
            _LOOK_SECONDS,
        ):
            raise StackError(f"void: not all stored within {_DRAINED_WITHIN_SECONDS} s")
        seconds = time.monotonic() - began_s
        held.close()
        check_stored(local, server, readings)
    return readings / seconds


def _signal(members: list[Service], number: signal.Signals) -> None:
    for member in members:
        os.kill(member.pid, number)


def _first_stored_ms(rival: Rival) -> float:
    """Start a rival while readings come; return after how many ms the first one was stored."""
    with LocalStack() as local:
        broker, server = start_broker(local), local.start_influxdb()
        load = _START.load(broker)
        with watched(server) as (url, proxy), part("bench.load", load) as generator:
            generator.begin()
            time.sleep(max(0.0, load.begin_at_ms / 1000 - time.time()) + _START_AFTER_SECONDS)
            began_ms = time.time() * 1000
            rival(local, broker, url, _START.qos)
            generator.answer(Sent)
            proxy.begin()
            confirmed = proxy.answer(Confirmed)
    if not confirmed.readings:
        raise StackError("void: nothing was stored")
    return confirmed.first_ms - began_ms
