"""Row 31: the disks of the store, the spool and the quarantine full."""

import time

from stack.faults.case import Trial, case
from stack.faults.disk import SmallDisk, small_disk
from stack.faults.odd_device import OddDevice
from stack.faults.rig import Rig
from stack.faults.watch import Moment

_STORE_MEGABYTES, _SPOOL_MEGABYTES, _QUARANTINE_MEGABYTES = 128, 16, 4
_FULL_SECONDS = 10.0
_SAID_WITHIN_SECONDS = 10.0
_SPOOLS_AFTER_SECONDS = 5.0
_BACK_WITHIN_SECONDS = 20.0
_POISONED = 50


@case(31, "the store's, the spool's, the quarantine's disk full")
def disks_full(trial: Trial) -> None:
    """Fill one disk after the other to the last byte, and give room again."""
    disks = trial.folder.resolve() / "disks"
    with (
        small_disk(disks / "store", _STORE_MEGABYTES) as store,
        small_disk(disks / "spool", _SPOOL_MEGABYTES) as spool,
        small_disk(disks / "quarantine", _QUARANTINE_MEGABYTES) as quarantine,
        Rig(trial, store_folder=store.folder / "influxdb") as rig,
    ):
        ingest = rig.start_ingest(
            {
                "INGEST_SPOOL_DIR": str(spool.folder / "spool"),
                "INGEST_QUARANTINE_DIR": str(quarantine.folder / "quarantine"),
            }
        )
        rig.start_fleet()
        pid = ingest.pid
        _fill_quarantine(rig, quarantine)
        _fill_spool(rig, spool)
        _fill_store(rig, store)
        trial.must(ingest.is_running and ingest.pid == pid, "ingest ran on all the time")
        rig.finish()


def _fill_quarantine(rig: Rig, disk: SmallDisk) -> None:
    """Send what has to go to quarantine while that has no room: the others go on."""
    with OddDevice(rig) as odd:
        rig.await_unacknowledged()
        full = _fill(rig, disk, "the quarantine's")
        odd.send_many("poison", [b"no reading"] * _POISONED)
        _must_say(rig, "quarantine", full)
        rig.pass_time(_FULL_SECONDS / 2, "the quarantine's disk is full")
        now = time.monotonic()
        slowest = min(rig.watch.rates("written_readings", full, now, window_seconds=0.9), default=0)
        rig.trial.must(slowest >= rig.rate / 2, f"the others went on at {slowest:,.0f} readings/s")
        kept = rig.figures()["quarantined_readings"]
        rig.trial.must(not kept, f"{kept:.0f} counted as quarantined while there was no room")
        disk.free()
        _must_count(rig, "quarantined_readings", _POISONED)
        _must_be_well(rig, time.monotonic())


def _fill_spool(rig: Rig, disk: SmallDisk) -> None:
    """Kill the store while the spool has no room: memory and the broker hold what comes."""
    full = _fill(rig, disk, "the spool's")
    with rig.store_held():
        rig.await_unacknowledged(batches=3)
        rig.influxd.kill()
    _must_say(rig, "spool", full + _SPOOLS_AFTER_SECONDS)
    rig.pass_time(_FULL_SECONDS, "the spool's disk is full")
    spooled = rig.figures()["spooled_readings"]
    disk.free()
    _must_count(rig, "spooled_readings", int(spooled) + rig.batch_readings)
    rig.influxd.start()
    _must_be_well(rig, time.monotonic())
    rig.must_be_back(time.monotonic(), _BACK_WITHIN_SECONDS, of="InfluxDB's return")


def _fill_store(rig: Rig, disk: SmallDisk) -> None:
    """Leave InfluxDB no byte to write to."""
    rig.await_unacknowledged()
    full = _fill(rig, disk, "the store's")
    _must_say(rig, "store", full)
    rig.pass_time(_FULL_SECONDS, "the store's disk is full")
    refused = rig.figures()["write_retries"]
    rig.trial.fault(refused, f"{refused:.0f} writes failed in all")
    disk.free()
    # Its log's writer keeps the error of a full disk (2.9.1): every write fails until a person
    # starts it again.
    rig.influxd.restart()
    freed = time.monotonic()
    _must_be_well(rig, freed)
    rig.must_be_back(freed, _BACK_WITHIN_SECONDS, of="room on the store's disk")


def _fill(rig: Rig, disk: SmallDisk, whose: str) -> float:
    """Fill a disk; return when it was full."""
    taken = disk.fill()
    rig.trial.fault(taken, f"{whose} disk was filled with {taken / 1e6:.1f} MB")
    return time.monotonic()


def _must_say(rig: Rig, name: str, since: float) -> None:
    """Note whether /readyz names what is in want of room soon after a moment."""

    def said(moment: Moment) -> bool:
        return not moment.ready and moment.words.get(name, "ok") != "ok"

    took = rig.watch.await_seen(said, after=since, deadline_seconds=_SAID_WITHIN_SECONDS + 5)
    rig.trial.must(
        took is not None and took <= _SAID_WITHIN_SECONDS,
        f"/readyz said 503 for the {name}: {_word(took)} later",
    )


def _must_be_well(rig: Rig, since: float) -> None:
    took = rig.watch.await_seen(
        lambda moment: moment.ready, after=since, deadline_seconds=_BACK_WITHIN_SECONDS + 5
    )
    rig.trial.must(
        took is not None and took <= _BACK_WITHIN_SECONDS,
        f"/readyz said 200 again: {_word(took)} after there was room",
    )


def _must_count(rig: Rig, name: str, least: int) -> None:
    """Note whether a figure reaches a number, now that there is room."""

    def counted(moment: Moment) -> bool:
        return moment.figures is not None and moment.figures[name] >= least

    took = rig.watch.await_seen(
        counted, after=time.monotonic(), deadline_seconds=_BACK_WITHIN_SECONDS
    )
    rig.trial.must(took is not None, f"with room, {name} reached {least:,}: {_word(took)} later")


def _word(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"
