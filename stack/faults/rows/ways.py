"""Rows from 41: the faults of ingest over each other way that promises at least once.

The devices send at QoS 1 and keep what is not answered, so that nothing at all may be lost.
"""

import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from stack.faults.case import Trial, case
from stack.faults.disk import small_disk
from stack.faults.restarts import start_again, terminate_with_a_buffer
from stack.faults.rig import HELD_SHARE, Rig
from stack.faults.watch import Moment, figures_of
from stack.services import Service

SECOND_FLEET = Path(__file__).parents[1] / "second.toml"

_WAYS = ("tcp", "unix", "folder", "http", "database-sqlite", "database-postgresql")
_FIRST_ROW = 41
_NO_SETTINGS: Mapping[str, str] = {}

_BACK_WITHIN_SECONDS = 10.0
_SAID_WITHIN_SECONDS = 10.0
_MEGABYTES = 64
_SILENT_SECONDS = 3.0
# In batches of the store. Over HTTP, devices leave four small requests unanswered, and no more;
# of a database's rows ingest has four claims, small ones where they come one by one.
_MUCH = 3.0
_UNANSWERED = {"http": 0.5, "database-sqlite": 0.5, "database-postgresql": 0.5}
_SETTLED_SECONDS = 0.7  # from the store's last answer to the last one of ingest


def killed(trial: Trial, way: str) -> None:
    """Kill ingest while it holds what the store has not confirmed, and start it again."""
    with Rig(trial, way=way) as rig:
        ingest = _begin(rig)
        with rig.store_held():
            rig.await_unacknowledged(share=_UNANSWERED.get(way, _MUCH))
            ingest.kill()
        trial.fault(ingest.returncode == -signal.SIGKILL, "ingest ended by SIGKILL")
        start_again(rig, ingest)
        rig.finish()


def restarted(trial: Trial, way: str) -> None:
    """Stop ingest with a half-full batch, which is stored and answered, and start it again."""
    with Rig(trial, way=way) as rig:
        ingest = _begin(rig, {"INGEST_FLUSH_INTERVAL_MS": "1500"})
        terminate_with_a_buffer(rig, ingest)
        start_again(rig, ingest)
        rig.finish()


def disk_full(trial: Trial, way: str) -> None:
    """Leave neither the store nor the spool a byte: ingest takes no more until there is room."""
    folder = trial.folder.resolve() / "disk"
    with (
        small_disk(folder, _MEGABYTES) as disk,
        Rig(trial, way=way, store="sqlite", store_folder=folder) as rig,
    ):
        ingest = _begin(
            rig,
            {
                "INGEST_HELD_READINGS": str(rig.rate),
                "INGEST_SPOOL_DIR": str(folder / "spool"),
                "INGEST_QUARANTINE_DIR": str(folder / "quarantine"),
            },
        )
        rig.await_unacknowledged()
        taken = disk.fill()
        full = time.monotonic()
        trial.fault(taken, f"the disk was filled with {taken / 1e6:.1f} MB")
        said = rig.watch.await_seen(
            _not_ready, after=full, deadline_seconds=_SAID_WITHIN_SECONDS + 5
        )
        trial.must(
            said is not None and said <= _SAID_WITHIN_SECONDS, f"/readyz said 503 {_after(said)}"
        )
        spool = rig.watch.await_seen(_spool_has_no_room, after=full, deadline_seconds=20)
        trial.fault(spool is not None, f"/readyz named the spool {_after(spool)}")
        before = rig.figures()
        rig.pass_time(_SILENT_SECONDS, "the disk is full")
        after = rig.figures()
        held = after["in_flight_readings"]
        trial.fault(held, f"{held:,.0f} readings were received and not yet acknowledged")
        for figure in ("acknowledged_messages", "received_readings"):
            more = after[figure] - before[figure]
            trial.must(not more, f"{more:,.0f} {figure} more on a full disk")
        disk.free()
        rig.must_be_back(time.monotonic(), _BACK_WITHIN_SECONDS * 2, of="room on the disk")
        trial.must(ingest.is_running, "ingest ran on all the time")
        rig.finish()


def store_slow(trial: Trial, way: str) -> None:
    """Let the store stay silent for seconds, again and again: nobody is answered meanwhile."""
    with Rig(trial, way=way) as rig:
        _begin(rig)
        for _ in range(2 if trial.quick else 4):
            with rig.store_held():
                rig.await_unacknowledged(share=_UNANSWERED.get(way, _MUCH))
                rig.pass_time(_SETTLED_SECONDS, "the store is silent")
                before = rig.figures()["acknowledged_messages"]
                rig.pass_time(_SILENT_SECONDS, "the store is silent")
                answered = rig.figures()["acknowledged_messages"] - before
            trial.must(not answered, f"{answered:,.0f} answers while the store was silent")
            rig.pass_time(1, "the store answers")
        rig.must_be_back(time.monotonic(), _BACK_WITHIN_SECONDS, of="the last silence")
        rig.finish()


def two_workers(trial: Trial, way: str) -> None:
    """Kill one of two ingests on one store: the other goes on, and nothing is stored twice."""
    with Rig(trial, way=way) as rig:
        half = rig.rate // 2
        own = rig.local.ways.another(way)
        first = rig.start_ingest()
        second = rig.start_ingest(client_id="ingest-2", way=own)
        rig.start_fleet(rate=half, qos="1", wait=False)
        rig.start_fleet(rate=half, qos="1", client_id="sensors-2", fleet=SECOND_FLEET, way=own)
        with rig.store_held():
            rig.await_unacknowledged(first, share=_UNANSWERED.get(way, 1.0) / 2)
            first.kill()
        trial.fault(first.returncode == -signal.SIGKILL, "one ingest ended by SIGKILL")
        before, seconds = figures_of(second)["written_readings"], 5
        rig.pass_time(seconds, "one ingest is left")
        written = figures_of(second)["written_readings"] - before
        trial.must(
            written >= HELD_SHARE * half * (seconds - 1),
            f"the other one wrote {written:,.0f} readings in {seconds} s",
        )
        first.start()
        rig.finish()


def _begin(rig: Rig, settings: Mapping[str, str] = _NO_SETTINGS) -> Service:
    """Start an ingest and the fleet; return the former."""
    ingest = rig.start_ingest(settings)
    rig.start_fleet(qos="1")
    return ingest


def _not_ready(moment: Moment) -> bool:
    return not moment.ready


def _spool_has_no_room(moment: Moment) -> bool:
    return moment.words.get("spool", "ok") != "ok"


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s later"


_FAULTS: tuple[tuple[str, Callable[[Trial, str], None]], ...] = (
    ("ingest SIGKILL", killed),
    ("ingest SIGTERM", restarted),
    ("the disk of store and spool full", disk_full),
    ("a store that is silent for seconds", store_slow),
    ("one of two ingests SIGKILL", two_workers),
)


def _by(way: str, run: Callable[[Trial, str], None]) -> Callable[[Trial], None]:
    return lambda trial: run(trial, way)


def _register() -> None:
    rows = ((way, name, run) for way in _WAYS for name, run in _FAULTS)
    for number, (way, name, run) in enumerate(rows, _FIRST_ROW):
        case(number, f"{name}, by {way}")(_by(way, run))


_register()
