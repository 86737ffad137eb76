"""Rows 19 and 20: the broker killed, and started again without its sessions."""

import signal
import time

from stack.faults.case import Trial, case
from stack.faults.rig import Rig
from stack.faults.watch import Moment, figures_of

_AWAY_SECONDS = 3.0
_SUBSCRIBED_WITHIN_SECONDS = 5.0
# README.md, "Limits": what a killed broker loses at most.
_UNSAVED_SECONDS = 2.0
_QOS_1_AND_2_SHARE = 2 / 3


@case(19, "broker SIGKILL")
def broker_killed(trial: Trial) -> None:
    """Kill the broker twice: while ingest is at work, and with a queue for an ingest away."""
    with Rig(trial) as rig:
        ingest = rig.start_ingest()
        rig.start_fleet()
        with rig.store_held():
            rig.await_unacknowledged(batches=3)
            rig.broker.kill()
        _start_on_what_it_saved(rig)
        _must_subscribe(rig, time.monotonic())
        rig.must_be_back(time.monotonic(), 15, of="the broker's return")

        # What the broker holds alone is what it can lose: it was acknowledged to the devices.
        rig.await_unacknowledged()
        ingest.stop()
        rig.pass_time(_AWAY_SECONDS, "the broker holds a queue")
        rig.broker.kill()
        _start_on_what_it_saved(rig)
        ingest.start()
        rig.must_be_back(time.monotonic(), 15, of="ingest's return")
        rig.pass_time(5, "the fleet goes on")
        bound = int(_UNSAVED_SECONDS * rig.rate * _QOS_1_AND_2_SHARE)
        trial.allow_lost(bound, f"{_UNSAVED_SECONDS:g} s of QoS 1 and 2, not saved when it died")
        report = rig.finish()
        named = sum(one.kind == "lost" and bool(one.qos) for one in report.findings)
        at_1, at_2 = report.by_qos[1].lost, report.by_qos[2].lost
        trial.must(
            named == at_1 + at_2,
            f"lost {at_1:,} at QoS 1 and {at_2:,} at QoS 2, and the audit names {named:,}",
        )
        _must_publish_again(rig)


def _start_on_what_it_saved(rig: Rig) -> None:
    code = rig.broker.returncode
    rig.trial.fault(code == -signal.SIGKILL, "the broker ended by SIGKILL")
    rig.pass_time(_AWAY_SECONDS, "the broker is away")
    rig.broker.start()


@case(20, "broker restarted with its sessions lost")
def sessions_lost(trial: Trial) -> None:
    """Take the broker's memory away twice: with ingest there, and with ingest away as well."""
    with Rig(trial) as rig:
        ingest = rig.start_ingest()
        fleet = rig.start_fleet()
        rig.await_unacknowledged()
        rig.broker.stop()
        _start_without_sessions(rig)
        back = time.monotonic()
        subscribed = _must_subscribe(rig, back)
        rig.must_be_back(back, 15, of="the broker's return")
        found = rig.figures()["sessions_lost"]
        trial.fault(found == 1, "ingest found its session gone")

        rig.await_unacknowledged()
        # The broker first: what it took while ingest is away would be gone with its memory.
        rig.broker.stop()
        ingest.stop()
        _start_without_sessions(rig)
        back = time.monotonic()
        rig.pass_time(_AWAY_SECONDS, "nobody subscribes")
        kept = figures_of(fleet, "sensors")["kept_readings"]
        trial.fault(kept > 0, f"{kept:,.0f} times QoS 1 was answered 0x10: nobody subscribes")
        ingest.start()
        subscribed += time.monotonic() - back
        rig.must_be_back(time.monotonic(), 15, of="ingest's return")
        rig.pass_time(5, "the fleet goes on")
        # A second more for each: connections are made and messages travel meanwhile.
        bound = int((subscribed + 2.0) * rig.rate / 3)
        trial.allow_lost(bound, f"QoS 2 for the {subscribed:.1f} s without ingest's session")
        report = rig.finish()
        at_1, at_2 = report.by_qos[1].lost, report.by_qos[2].lost
        trial.must(not at_1, f"{at_1} readings at QoS 1 and {at_2} at QoS 2 were lost")
        _must_publish_again(rig)


def _start_without_sessions(rig: Rig) -> None:
    memory = rig.broker.configuration.persistence_folder / "mosquitto.db"
    rig.trial.fault(memory.exists(), "the broker had saved its sessions, which were taken away")
    memory.unlink(missing_ok=True)
    rig.broker.start()


def _must_subscribe(rig: Rig, back: float) -> float:
    """Note how soon ingest subscribed again after a moment; return it, in seconds."""

    def subscribed(moment: Moment) -> bool:
        return moment.words.get("broker") == "ok"

    took = rig.watch.await_seen(subscribed, after=back, deadline_seconds=30)
    word = "never" if took is None else f"{took:.1f} s"
    rig.trial.must(
        took is not None and took <= _SUBSCRIBED_WITHIN_SECONDS,
        f"ingest subscribed again after {word} ({_SUBSCRIBED_WITHIN_SECONDS:g} s allowed)",
    )
    return 30.0 if took is None else took


def _must_publish_again(rig: Rig) -> None:
    told = rig.fleet_reports["sensors-1"]
    again = sum(level["republished"] for level in told["by_qos"].values())
    rig.trial.must(again, f"devices published {again:,} readings again")
