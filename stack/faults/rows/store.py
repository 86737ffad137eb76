"""Rows 3 to 7 and 31: the store killed, away, throttling, silent, locked, and full."""

import itertools
import os
import signal
import time
from collections.abc import Iterable

from broker.configuration import BrokerLimits
from stack.faults.case import Trial, case
from stack.faults.influx_admin import InfluxAdmin
from stack.faults.rig import Rig
from stack.faults.store_proxy import (
    Request,
    Scripted,
    StoreProxy,
    everything,
    forward,
    writes_only,
)
from stack.faults.watch import Moment

_SAID_WITHIN_SECONDS = 5.0
_READY_WITHIN_SECONDS = 10.0
_AWAY_SECONDS = 60.0
_LONGER_SECONDS = 45.0
_SHORT_QUEUE = 10_000
_HELD_READINGS = 50_000
_DRAIN_TIMES = 3.0
_RETRY_AFTER_SECONDS = 7
_TIME_OUT_SECONDS = 10.0


@case(3, "InfluxDB SIGKILL, 60 s away")
def store_killed(trial: Trial) -> None:
    """Kill InfluxDB at the rate, and start it on its files a minute later."""
    with Rig(trial) as rig:
        rig.start_ingest()
        rig.start_fleet()
        killed = _kill_store(rig)
        rig.pass_time(_AWAY_SECONDS, "InfluxDB is away")
        rig.influxd.start()
        _must_say_so(rig, killed, time.monotonic())
        rig.must_be_back(time.monotonic(), 20, of="InfluxDB's return")
        rig.finish()


@case(4, "InfluxDB away for longer than the broker's queue holds")
def store_away_for_long(trial: Trial) -> None:
    """Keep InfluxDB away until only the spool can hold what came."""
    limits = BrokerLimits(max_queued_messages=_SHORT_QUEUE)
    with Rig(trial, limits=limits) as rig:
        rig.start_ingest({"INGEST_HELD_READINGS": str(_HELD_READINGS)})
        rig.start_fleet()
        killed = _kill_store(rig)
        rig.pass_time(_LONGER_SECONDS, "InfluxDB is away")
        came, held = _LONGER_SECONDS * rig.rate, _SHORT_QUEUE + _HELD_READINGS
        trial.fault(
            came > held,
            f"about {came:,.0f} readings came, {held:,} fit in ingest's memory and the queue",
        )
        spooled = rig.figures()["spooled_readings"]
        trial.must(spooled > 0, f"{spooled:,.0f} readings were in the spool")
        rig.influxd.start()
        returned = time.monotonic()
        _must_say_so(rig, killed, returned)
        _must_drain(rig, returned)
        rig.finish()
        dropped = rig.figures()["broker_dropped_messages"]
        trial.must(not dropped, f"the broker dropped {dropped:.0f} messages")


@case(5, "503 with Retry-After 7, then a storm of 429")
def store_throttles(trial: Trial) -> None:
    """Let the store ask for a pause, then for another at every try."""
    with Rig(trial) as rig, StoreProxy(rig.local.store_url) as store:
        rig.start_ingest({"INGEST_STORE_URL": store.url})
        rig.start_fleet()
        pause = {"Retry-After": str(_RETRY_AFTER_SECONDS)}
        _befall(rig, store, Scripted(503, pause, "overloaded"))
        rig.pass_time(3 * _RETRY_AFTER_SECONDS + 1, "503 with Retry-After")
        throttled = _befallen(store)
        trial.fault(len(throttled) >= 2, f"{len(throttled)} writes were answered 503")
        gap = min(_gaps(throttled), default=0.0)
        trial.must(
            gap >= _RETRY_AFTER_SECONDS,
            f"the next try came after {gap:.1f} s ({_RETRY_AFTER_SECONDS} s asked)",
        )
        store.choose = writes_only(Scripted(429, {}, "too many requests"))
        storm = time.monotonic()
        rig.pass_time(12, "a storm of 429")
        refused = [one for one in _befallen(store) if one.at >= storm]
        store.choose = forward
        trial.fault(len(refused) >= 2, f"{len(refused)} writes were answered 429 in 12 s")
        trial.must(len(refused) <= 24, f"{len(refused)} tries in 12 s of 429 (24 allowed)")
        lines = {one.connection for one in [*throttled, *refused]}
        trial.must(len(lines) == 1, f"{len(lines)} connections were used for all of them")
        rig.must_be_back(time.monotonic(), 20, of="the storm")
        rig.finish()


@case(6, "the store accepts the connection and never answers")
def store_silent(trial: Trial) -> None:
    """Let every request wait for ever, and then be done without an answer."""
    with Rig(trial) as rig, StoreProxy(rig.local.store_url) as store:
        rig.start_ingest({"INGEST_STORE_URL": store.url})
        rig.start_fleet()
        rig.await_unacknowledged()
        since = time.monotonic()
        store.choose = everything("silent")
        rig.pass_time(3 * _TIME_OUT_SECONDS, "the store is silent")
        store.choose = forward
        silent = [one for one in store.requests if one.behaviour == "silent"]
        given_up = [one for one in silent if one.is_write and one.ended and one.status is None]
        trial.fault(len(given_up) >= 2, f"{len(given_up)} writes got no answer")
        longest = max((one.ended - one.at for one in given_up if one.ended), default=0.0)
        trial.must(
            0 < longest <= _TIME_OUT_SECONDS + 0.5,
            f"given up after {longest:.1f} s at most ({_TIME_OUT_SECONDS:g} s allowed)",
        )
        said = rig.watch.seconds_until(_not_ready, after=since)
        trial.must(said is not None, "ingest's /readyz said 503")
        rig.must_be_back(time.monotonic(), 20, of="the store's first answer")
        rig.await_unacknowledged()
        store.choose = writes_only("lose answer")
        rig.pass_time(5, "the store writes, and its answers are lost")
        store.choose = forward
        done = sum(one.behaviour == "lose answer" for one in store.writes())
        trial.fault(done, f"{done} writes were done, and their answers lost")
        rig.must_be_back(time.monotonic(), 20, of="the last lost answer")
        rig.finish()


@case(7, "token revoked (401), bucket deleted (404)")
def store_refuses(trial: Trial) -> None:
    """Take ingest's token away, then the bucket; mend each by what the set-up does."""
    with Rig(trial) as rig, StoreProxy(rig.local.store_url) as store:
        admin = InfluxAdmin(rig.local.store_url, rig.local.folder / "influxdb")
        ingest = rig.start_ingest({"INGEST_STORE_URL": store.url})
        rig.start_fleet()
        rig.await_unacknowledged()
        admin.revoke_token("ingest")
        _see_refused(rig, store, 401)
        admin.mend()
        rig.must_be_back(time.monotonic(), 20, of="a new token in its file")
        # The bucket goes with what it holds: that is read first, while ingest is halted.
        rig.await_unacknowledged()
        os.kill(ingest.pid, signal.SIGSTOP)
        time.sleep(0.5)
        earlier = rig.sequences()
        admin.delete_bucket()
        os.kill(ingest.pid, signal.SIGCONT)
        _see_refused(rig, store, 404)
        admin.mend()
        rig.must_be_back(time.monotonic(), 20, of="a new bucket and token")
        rig.finish(earlier=earlier)


def _kill_store(rig: Rig) -> float:
    """Kill InfluxDB while ingest waits for it; return when."""
    with rig.store_held():
        rig.await_unacknowledged(batches=3)
        rig.influxd.kill()
    code = rig.influxd.returncode
    rig.trial.fault(code == -signal.SIGKILL, "InfluxDB ended by SIGKILL")
    return time.monotonic()


def _not_ready(moment: Moment) -> bool:
    return moment.words.get("store", "ok") != "ok"


def _ready(moment: Moment) -> bool:
    return moment.ready


def _must_say_so(rig: Rig, away: float, back: float) -> None:
    """Note how soon /readyz said that the store was away, and that it was back."""
    said = rig.watch.seconds_until(_not_ready, after=away)
    allowed = _SAID_WITHIN_SECONDS
    rig.trial.must(
        said is not None and said <= allowed,
        f"/readyz said 503 {_after(said)} the kill ({allowed:g} s allowed)",
    )
    again = rig.watch.await_seen(_ready, after=back, deadline_seconds=_READY_WITHIN_SECONDS + 10)
    rig.trial.must(
        again is not None and again <= _READY_WITHIN_SECONDS,
        f"/readyz said 200 {_after(again)} the return ({_READY_WITHIN_SECONDS:g} s allowed)",
    )


def _must_drain(rig: Rig, since: float) -> None:
    """Note how fast the spool emptied while the fleet went on."""

    def empty(moment: Moment) -> bool:
        return moment.figures is not None and not moment.figures["spooled_readings"]

    rig.trial.say("the spool drains")
    took = rig.watch.await_seen(empty, after=since, deadline_seconds=120)
    moments = rig.watch.between(since, since + (took or 120))
    replayed = [(one.at, (one.figures or {})["replayed_readings"]) for one in moments]
    begun = next((at for at, count in replayed if count > replayed[0][1]), since)
    seconds = since + (took or 120) - begun
    drained = replayed[-1][1] - replayed[0][1]
    least = _DRAIN_TIMES * rig.rate
    rig.trial.must(
        took is not None and drained >= least * seconds,
        f"the spool's {drained:,.0f} readings drained at {drained / seconds:,.0f} readings/s"
        f" ({least:,.0f} asked)",
    )


def _befall(rig: Rig, store: StoreProxy, behaviour: Scripted) -> None:
    rig.await_unacknowledged()
    store.choose = writes_only(behaviour)


def _befallen(store: StoreProxy) -> list[Request]:
    return [one for one in store.writes() if isinstance(one.behaviour, Scripted)]


def _gaps(requests: Iterable[Request]) -> list[float]:
    """Return the time between each answer and the next request."""
    pairs = itertools.pairwise(requests)
    return [after.at - (before.ended or before.at) for before, after in pairs]


def _see_refused(rig: Rig, store: StoreProxy, status: int) -> None:
    """Watch ingest being refused for a while: it tries on slowly, and says so."""
    since, seconds = time.monotonic(), 12
    before = rig.figures()
    rig.pass_time(seconds, f"InfluxDB answers {status}")
    after = rig.figures()
    tries = [one for one in store.writes(since) if one.status == status]
    rig.trial.fault(tries, f"{len(tries)} writes were answered {status}")
    rig.trial.must(len(tries) <= seconds + 1, f"{len(tries)} tries in {seconds} s (one a second)")
    counted = after["store_refusals"] - before["store_refusals"]
    rig.trial.must(counted, f"{counted:.0f} refusals are counted on /metrics")
    dropped = after["dropped_readings"]
    rig.trial.must(not dropped, f"{dropped:.0f} readings were dropped")
    errors = [line for line in rig.log_lines("error") if f"{status}:" in line]
    rig.trial.must(errors, f"{len(errors)} ERROR lines name the {status}")


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s after"
