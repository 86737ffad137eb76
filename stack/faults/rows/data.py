"""Rows 8 to 12: values and names that a store refuses, or would take for something else."""

import math

from stack.faults.case import Trial, case
from stack.faults.odd_device import (
    LINE_PROTOCOL,
    OddDevice,
    await_quarantined,
    beside_a_fleet,
    must_go_on,
)
from stack.faults.raw_device import SITE, native, now_ms
from stack.faults.rig import Rig
from stack.faults.store_proxy import StoreProxy
from telemetry.reading import Value
from telemetry.topics import OWN_SITE

_BATCH = 5_000
_MOST_REQUESTS = 27
_LONG_AGO_MS = 40 * 24 * 3_600_000  # the bucket of a local stack keeps 30 days
_WHOLE_BATCH_MS = "4000"
_TOO_LARGE_INTEGER = 2**63


@case(8, "one NaN line among 5,000")
def nan_line(trial: Trial) -> None:
    """Send a batch of lines with one NaN, then one that only the store can refuse."""
    with Rig(trial) as rig:
        # The batch waits until all of it is there.
        settings = {"INGEST_FLUSH_INTERVAL_MS": _WHOLE_BATCH_MS}
        if not rig.is_on_influxdb:
            with beside_a_fleet(rig, settings) as odd:
                _send_lines(odd, "NaN")
                await_quarantined(rig, 1, "NaN")
            _must_be_stored(rig, odd, _BATCH - 1)
            rig.finish()
            return
        with (
            StoreProxy(rig.local.store_url) as store,
            beside_a_fleet(rig, {**settings, "INGEST_STORE_URL": store.url}) as odd,
        ):
            _send_lines(odd, "NaN")
            await_quarantined(rig, 1, "NaN")
            _must_ask_little(trial, store, odd, "a NaN")
            _must_be_stored(rig, odd, _BATCH - 1)
            store.requests.clear()
            _send_lines(odd, '"warm"')
            await_quarantined(rig, 2, "type conflict")
            _must_ask_little(trial, store, odd, "a text where numbers are")
            _must_be_stored(rig, odd, 2 * (_BATCH - 1))
            rig.finish()


@case(9, "20, then 1,000 readings older than the retention")
def too_old(trial: Trial) -> None:
    """Send old readings: to an ingest that knows the retention, and to one that does not."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        for count in (20, 1_000):
            _send_old(odd, count)
            must_go_on(rig, f"{count:,} readings that ingest finds too old")
        await_quarantined(rig, 1_020, "out of range")
        if rig.is_on_influxdb:
            rig.restart_ingest({"INGEST_RETENTION_HOURS": "8760"})
            rig.await_unacknowledged()
            for count in (20, 1_000):
                _send_old(odd, count)
                must_go_on(rig, f"{count:,} readings that InfluxDB refuses")
            await_quarantined(rig, 1_020, "retention", now=1_020)
        rig.finish()
        rig.must_have_acknowledged_all()


@case(10, "an integer, then a string where floats were")
def types_change(trial: Trial) -> None:
    """Send one field as float, integer and text."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        odd.publish("types", {"value": 1.5})
        odd.publish("types", {"value": 2})
        odd.send_refused("types", b'{"ts": %d, "values": {"value": "three"}}' % now_ms())
        odd.publish("types", {"value": 4})
        await_quarantined(rig, 1, "type conflict")
        rig.finish()
        values = [reading["value"] for reading in odd.stored(rig, "types")]
        trial.must(values == [1.5, 2.0, 4.0], f"stored {values}")
        floats = all(isinstance(value, float) for value in values)
        trial.must(floats, "all of them as floats")


@case(11, "integer over 2^63-1, 1e400, Infinity, -0.0, NaN")
def numbers_out_of_range(trial: Trial) -> None:
    """Send numbers at and beyond the edges, each followed by a good reading."""
    json_numbers = (
        str(_TOO_LARGE_INTEGER),
        "1" * 400,
        "1e400",
        "-1e400",
        "Infinity",
        "NaN",
        "-0.0",
    )
    line_numbers = (f"{_TOO_LARGE_INTEGER}i", "1e400", "+Inf", "NaN", "-0.0")
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        for number in json_numbers:
            payload = b'{"ts": %d, "values": {"value": %s}}' % (odd.due_ms(), number.encode())
            odd.send_refused("json", payload)
            odd.publish("good", {"value": 1.0})
        seq = b'{"ts": %d, "values": {"value": 1.0}, "boot": 1, "seq": %d}'
        odd.send_refused("json", seq % (odd.due_ms(), _TOO_LARGE_INTEGER))
        for number in line_numbers:
            line = f"line value={number} {odd.due_ms()}000000"
            odd.send_refused("line", line.encode(), LINE_PROTOCOL)
            odd.publish("good", {"value": 1.0})
        rig.finish()
        stored = [one["value"] for name in ("json", "line") for one in odd.stored(rig, name)]
        quarantined = len(rig.quarantine_records())
        sent = len(json_numbers) + 1 + len(line_numbers)
        trial.fault(quarantined, f"{quarantined} of {sent} numbers were quarantined")
        trial.must(
            len(stored) + quarantined == sent and all(map(_is_finite, stored)),
            f"the other {sent - quarantined} are stored as finite floats: {stored}",
        )
        zeros = [value for value in stored if value == 0]
        trial.must(all(math.copysign(1, zero) < 0 for zero in zeros), "-0.0 kept its sign")


@case(12, "empty and hostile names of site, device, measurement and tags")
def hostile_names(trial: Trial) -> None:
    """Send what a real broker passes of names that would break line protocol."""
    hostile = 'a,b c="x"'
    with Rig(trial) as rig, beside_a_fleet(rig) as odd, OddDevice(rig, hostile) as other:
        payload = native(now_ms(), {"value": 1.0}, 1, 1)
        before = _series(rig)
        for topic in (
            f"telemetry/{SITE}/{hostile}/m",
            f"telemetry/{SITE}/{hostile}/m,x=1 v=1",
        ):
            other.send_refused_to(topic, payload)
        for topic in (
            f"telemetry//{odd.name}/m",
            f"telemetry/{SITE}/{odd.name}/",
            f"telemetry/a,b c=1/{odd.name}/m",
            f"telemetry/{SITE}/{odd.name}/m,x=1 v=1",
        ):
            odd.send_refused_to(topic, payload)
        for line in ("m,tag= value=1", "m, value=1", "m,=x value=1", "m value=1 1 1"):
            odd.send_refused("m", line.encode(), LINE_PROTOCOL)
        odd.publish("good", {"value": 1.0})
        rig.finish()
        records = rig.quarantine_records()
        trial.fault(len(records) == 10, f"{len(records)} of 10 messages were quarantined")
        # The parts put their own figures into the store as well, now and then.
        extra = {
            one
            for one in _series(rig) - before
            if one[0] != OWN_SITE and one != (SITE, odd.name, "good")
        }
        trial.must(not extra, f"{len(extra)} series appeared that nobody may name: {extra or ''}")
        points = odd.stored(rig, "m")
        trial.must(not points, f"no point of theirs is stored: {points or ''}")


def _send_lines(odd: OddDevice, bad: str) -> None:
    """Send a batch of line protocol of which one line has a bad value."""
    lines = []
    for number in range(_BATCH):
        time_ms = odd.due_ms()
        if number == _BATCH // 3:
            lines.append(b"lines value=%s %d000000" % (bad.encode(), time_ms))
            continue
        seq = odd.offer("lines", time_ms)
        line = f"lines value={number}.5,boot={odd.boot_ms}i,seq={seq}i {time_ms}000000"
        lines.append(line.encode())
    odd.send_many("lines", lines, LINE_PROTOCOL)


def _send_old(odd: OddDevice, count: int) -> None:
    begin_ms = now_ms() - _LONG_AGO_MS
    payloads = [b'{"ts": %d, "values": {"value": 1}}' % (begin_ms + n) for n in range(count)]
    odd.send_many("old", payloads)


def _must_ask_little(trial: Trial, store: StoreProxy, odd: OddDevice, bad: str) -> None:
    name = odd.name.encode()
    requests = sum(name in one.body for one in store.writes())
    trial.must(
        requests <= _MOST_REQUESTS,
        f"{requests} requests for a batch with {bad} ({_MOST_REQUESTS} allowed)",
    )


def _must_be_stored(rig: Rig, odd: OddDevice, count: int) -> None:
    stored = odd.await_stored(rig, count)
    rig.trial.must(stored == count, f"{stored:,} of {count:,} good lines are stored")


def _series(rig: Rig) -> set[tuple[str, str, str]]:
    with rig.store() as store:
        return {(one.site, one.device, one.measurement) for one in store.series()}


def _is_finite(value: Value) -> bool:
    return isinstance(value, float) and math.isfinite(value)
