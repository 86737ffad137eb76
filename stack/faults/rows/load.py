"""Rows 29 and 30: a burst of ten times the rate, and a storm of connections."""

from stack.faults.burst import PACK, Burst
from stack.faults.case import Trial, case
from stack.faults.connection_storm import storm
from stack.faults.latency import p99_ms, recorded
from stack.faults.rig import HELD_SHARE, Rig
from stack.waiting import holds_within
from telemetry.audit import AuditReport

_TIMES = 10
_BURST_SECONDS = 30.0
_ENDS_WITHIN_SECONDS = 90.0


@case(29, "a burst of 10 R for 30 s")
def burst(trial: Trial) -> None:
    """Publish ten times the rate from a pre-encoded generator while the fleet goes on."""
    with Rig(trial) as rig:
        rig.start_ingest()
        rig.start_fleet()
        rate = _TIMES * rig.rate
        generator = Burst(rig.local, rig.broker, rate=rate, seconds=_BURST_SECONDS)
        with generator:
            rig.await_unacknowledged()
            generator.begin()
            rig.pass_time(_BURST_SECONDS, f"{rate:,} readings/s more")
            trial.say("the burst's last readings are acknowledged")
            ended = holds_within(lambda: not generator.is_running, _ENDS_WITHIN_SECONDS, 0.2)
            if not ended or generator.returncode:
                raise generator.failure("did not end well")
        told = generator.report()
        due = rate * _BURST_SECONDS
        trial.fault(
            told.offered >= HELD_SHARE * due and told.seconds <= _BURST_SECONDS / HELD_SHARE,
            f"{told.offered:,} readings more, {PACK} a message, came in {told.seconds:.1f} s",
        )
        report = rig.finish()
        _must_count_gaps(rig, report)


def _must_count_gaps(rig: Rig, report: AuditReport) -> None:
    """Hold what the audit found lost at QoS 0 against the gaps in the store's numbers."""
    at_qos_0 = rig.devices_at(0)
    with rig.store() as store:
        gaps = sum(
            one.max_seq + 1 - one.count for one in store.sequence_counts() if one.device in at_qos_0
        )
    lost = report.by_qos[0].lost
    rig.trial.must(lost == gaps, f"{lost:,} readings lost at QoS 0, {gaps:,} numbers missing")


@case(30, "5,000 connections in 10 s")
def many_connections(trial: Trial) -> None:
    """Let many clients connect at once while the fleet goes on."""
    with Rig(trial) as rig:
        rig.start_ingest()
        rig.start_fleet()
        count, seconds = (500, 3.0) if trial.quick else (5_000, 10.0)
        names = [f"storm-{number:05d}" for number in range(count)]
        trial.say(f"letting {count:,} users in")
        rig.broker.admit(names)
        calm = recorded(rig.ingest)
        rig.pass_time(seconds, "calm, to compare with")
        before = recorded(rig.ingest)
        rig.await_unacknowledged()
        trial.say(f"{count:,} connections come")
        came = storm(rig.broker, names, seconds)
        after = recorded(rig.ingest)
        trial.fault(
            came.seconds <= 1.2 * seconds,
            f"{count:,} connections were asked for in {came.seconds:.1f} s",
        )
        trial.must(
            came.answered == count,
            f"{came.accepted:,} accepted, {came.answered - came.accepted:,} refused with a reason,"
            f" {count - came.answered:,} without a word",
        )
        quiet, busy = p99_ms(calm, before), p99_ms(before, after)
        trial.must(
            busy <= 2 * quiet, f"p99 of the fleet's readings {quiet:.0f} ms before, {busy:.0f} then"
        )
        rig.finish()
