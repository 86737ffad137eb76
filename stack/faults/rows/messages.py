"""Rows 13 to 18: payloads and topics that are no text, too large, misdated, repeated, unordered."""

import random
import time

from stack.faults import packets
from stack.faults.case import Trial, case
from stack.faults.link_proxy import LinkProxy
from stack.faults.odd_device import (
    LINE_PROTOCOL,
    OddDevice,
    await_quarantined,
    beside_a_fleet,
    must_go_on,
)
from stack.faults.raw_device import Disconnected, RawClient, RawDevice, now_ms
from stack.faults.rig import Rig
from stack.faults.watch import figures_of
from telemetry.store import Selection

_MAX_PAYLOAD_BYTES = 64 * 1024
_LATEST_MS = 9_200_000_000_000  # InfluxDB's times end in 2262
_AHEAD_MS = 5 * 60_000
_LATE_MS = 10 * 60_000
_UNORDERED = 200


@case(13, "invalid UTF-8 and nothing as payload, invalid UTF-8 as topic")
def not_text(trial: Trial) -> None:
    """Send what is no text as payload and as topic."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        for payload in (b"\xff\xfe\xfd", b"", b'{"ts": 1, "values": {"value": "\xff"}}'):
            odd.send_refused("bytes", payload)
        await_quarantined(rig, 3, "")
        with RawClient.of(rig.broker, odd.name) as another:
            topic = odd.topic("\N{SNOWMAN}").encode()[:-1]
            _must_be_sent_away(trial, another, topic, b"{}", "invalid UTF-8 in a topic")
        rig.finish()
        connects = rig.figures()["connects"]
        trial.must(connects == 1, f"ingest connected {connects:.0f} times")
        rig.must_have_acknowledged_all()


@case(14, "payload over the limit (64 KiB)")
def too_large(trial: Trial) -> None:
    """Send a payload that the broker refuses, and one that it just passes on."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        odd.send_refused("large", _payload(_MAX_PAYLOAD_BYTES + 100))
        await_quarantined(rig, 1, "too large")
        with RawClient.of(rig.broker, odd.name) as another:
            topic = odd.topic("large").encode()
            payload = _payload(_MAX_PAYLOAD_BYTES + 4096)
            _must_be_sent_away(trial, another, topic, payload, "a payload of 68 KiB")
        must_go_on(rig, "payloads over the limit")
        lost = figures_of(rig.fleet, "sensors")["lost_connections"]
        trial.must(not lost, f"{lost:.0f} connections of other devices were lost")
        rig.finish()
        connects = rig.figures()["connects"]
        trial.must(connects == 1, f"ingest connected {connects:.0f} times")


@case(15, "seconds or nanoseconds sent as milliseconds")
def misdated(trial: Trial) -> None:
    """Send times in every unit but the right one."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        now = now_ms()
        for time_ms in (now // 1_000, now * 1_000, now * 1_000_000, now + 2 * _AHEAD_MS):
            odd.send_refused("dated", b'{"ts": %d, "values": {"value": 1}}' % time_ms)
        for digits in (now // 1_000, now, now * 1_000):
            odd.send_refused("dated", b"dated value=1 %d" % digits, LINE_PROTOCOL)
        odd.publish("good", {"value": 1.0})
        await_quarantined(rig, 7, "range")
        rig.finish()
        with rig.store() as store:
            past = Selection(start_ms=0, stop_ms=now - 3_600_000)
            ahead = Selection(start_ms=now_ms() + _AHEAD_MS, stop_ms=_LATEST_MS)
            strange = [one for span in (past, ahead) for one in store.readings(span, limit=10)]
        trial.must(not strange, f"{len(strange)} readings in the past or the future are stored")


@case(16, "two readings of one series with one timestamp")
def same_time(trial: Trial) -> None:
    """Send two pairs at one time each: one in a batch, one over two batches."""
    # Batches long enough for the first pair, and shorter than the pause of the second one.
    settings = {"INGEST_FLUSH_INTERVAL_MS": "1500"}
    with Rig(trial) as rig, beside_a_fleet(rig, settings) as odd:
        for pause_seconds in (0.0, 2.0):
            time_ms = odd.due_ms()
            odd.publish("pairs", {"first": 1.0}, time_ms=time_ms)
            time.sleep(pause_seconds)
            odd.publish("pairs", {"second": 2.0}, time_ms=time_ms)
        report = rig.finish(overwritten=2)
        counted = rig.figures()["overwritten_readings"]
        trial.fault(counted >= 1, f"ingest counted {counted:.0f} as overwritten in one batch")
        named = [one for one in report.findings if one.kind == "overwritten"]
        trial.must(len(named) == 2, f"the audit names {len(named)} of 2 overwritten readings")
        stored = odd.stored(rig, "pairs")
        merged = [{"first": 1.0, "second": 2.0}] * 2
        trial.must(stored == merged, f"the later one won, field by field: {stored}")


@case(17, "the same message again, with and without DUP")
def same_again(trial: Trial) -> None:
    """Repeat messages in every way, and let the broker repeat what ingest had not acknowledged."""
    with Rig(trial) as rig, LinkProxy(rig.broker.port) as link:
        settings = {"INGEST_BROKER_PORT": str(link.port)}
        with (
            beside_a_fleet(rig, settings) as at_1,
            RawDevice(rig.local, rig.broker, "odd-2", qos=2) as at_2,
        ):
            before = rig.figures()["repeated_readings"]
            for device in (at_1, at_2):
                _repeat(device)
            with rig.store_held():
                rig.await_unacknowledged(batches=3)
                link.abort()
            rig.pass_time(2 if trial.quick else 4, "the broker sends again")
            repeated = rig.figures()["repeated_readings"] - before
            trial.fault(link.connections > 1, "ingest's link broke, and it connected again")
            report = rig.finish()
        trial.fault(repeated >= rig.batch_readings, f"{repeated:,.0f} readings came again")
        for qos in (1, 2):
            level = report.by_qos[qos]
            trial.must(
                level.stored == level.offered,
                f"QoS {qos}: {level.stored:,} points of {level.offered:,} readings",
            )


@case(18, "sequence out of order by 10 minutes")
def out_of_order(trial: Trial) -> None:
    """Send the later half of some readings first, and the earlier ones in no order."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        begin_ms, half = now_ms() - _LATE_MS, _UNORDERED // 2
        step_ms = _LATE_MS // _UNORDERED
        late = list(range(half))
        random.shuffle(late)
        for seq in range(half, _UNORDERED):
            _publish_at(odd, seq, begin_ms + seq * step_ms)
        odd.await_stored(rig, half)
        gap = _gap(rig, odd)
        trial.fault(gap == half, f"{gap} numbers were missing while the earlier ones were away")
        for seq in late:
            _publish_at(odd, seq, begin_ms + seq * step_ms)
        stored = odd.await_stored(rig, _UNORDERED)
        gap = _gap(rig, odd)
        trial.must(not gap, f"{gap} numbers missing, {stored} of {_UNORDERED} stored")
        rig.finish()


def _must_be_sent_away(
    trial: Trial, client: RawClient, topic: bytes, payload: bytes, what: str
) -> None:
    """Note whether the broker ends a connection that sends something, and says why."""
    try:
        reason = client.publish(topic, payload)
        trial.fault(False, f"{what}: the broker answered {reason:#x}")
    except Disconnected as ended:
        trial.fault(True, f"{what}: the broker ended the connection")
        trial.must(ended.reason is not None, f"{what}: its publisher is told ({ended})")


def _payload(size: int) -> bytes:
    head = b'{"ts": %d, "values": {"value": "' % now_ms()
    return head + b"x" * (size - len(head) - 3) + b'"}}'


def _repeat(device: RawDevice) -> None:
    """Send a reading four times in all, and one that has DUP from the beginning."""
    again = device.publish("again", {"value": 1.0})
    topic, client = device.topic("again"), device.client
    for dup in (False, True, True):
        reason = client.publish(topic, again, device.qos, dup=dup)
        if reason != packets.SUCCESS:
            raise ConnectionRefusedError(f"the broker answers a repeat with {reason:#x}")
    device.publish("again", {"value": 2.0}, dup=True)


def _publish_at(odd: OddDevice, seq: int, time_ms: int) -> None:
    odd.publish("late", {"value": float(seq)}, time_ms=time_ms, seq=seq)


def _gap(rig: Rig, odd: OddDevice) -> int:
    with rig.store() as store:
        counts = [one for one in store.sequence_counts() if one.device == odd.name]
    return sum(one.max_seq + 1 - one.count for one in counts)
