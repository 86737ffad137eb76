"""The pipeline of one case: real parts, a steady fleet, a watch on ingest, and the audit."""

import os
import signal
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Literal, Self

import msgspec

from broker.configuration import BrokerLimits
from stack import StackError
from stack.faults import quarantined
from stack.faults.case import Trial
from stack.faults.watch import Figures, Moment, Watch, figures_of
from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.services import Fleet, Service
from stack.waiting import holds_within
from stack.ways import Way
from telemetry.audit import AuditReport, audit
from telemetry.ledger import read_ledger
from telemetry.store import Store, StoredSequence

FLEET = Path(__file__).with_name("steady.toml")
FEW_FLEET = Path(__file__).with_name("few.toml")
RATE = 2_000
QUICK_RATE = 500
READINGS_A_DEVICE = 5  # a second, as steady.toml has it
MOST_BYTES = 256_000_000

_BATCH_SECONDS = 0.025  # the least that a batch lingers in ingest: at the rate, so much makes one
HELD_SHARE = 0.98  # of its rate that the fleet must have offered for the case to count
_STEADY_SHARE = 0.9  # of the rate, at which a fault may come
_BUILDS_UP_WITHIN_SECONDS = 15.0
_STEADY_WITHIN_SECONDS = 30.0
_DRAIN_SECONDS = 60
_CALM_WITHIN_SECONDS = 90.0
_COMES_WITHIN_SECONDS = 2.0

_NO_SETTINGS: Mapping[str, str] = {}
StoreKind = Literal["influxdb", "sqlite"]


class Rig:
    """Broker and store from the beginning; ingest and fleet when the case starts them.

    `with Rig(trial) as rig: rig.start_ingest(); rig.start_fleet(); …; rig.finish()`. Parts of the
    case that ingest or the fleet talk to instead, such as proxies, are told by `settings`. Where a
    `way` is named the devices send by that, and there is no broker.
    """

    def __init__(
        self,
        trial: Trial,
        *,
        store: StoreKind = "influxdb",
        limits: BrokerLimits = BrokerLimits(),  # noqa: B008
        store_folder: Path | None = None,
        way: str | None = None,
    ) -> None:
        self.trial = trial
        self._way = way
        self.rate = QUICK_RATE if trial.quick else RATE
        self._kind: StoreKind = "sqlite" if trial.quick else store
        self._limits = limits
        self._store_folder = store_folder
        self._closing = ExitStack()
        self._fleets: list[tuple[Fleet, int]] = []
        self.watches: list[Watch] = []
        self.quarantines: list[Path] = []
        self.fleet_reports: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        self.trial.say("starting the broker and the store")
        folder, kind = self._store_folder, self._kind
        url = f"sqlite:///{folder}/denyut.sqlite" if folder and kind == "sqlite" else None
        with ExitStack() as closing:
            logs = self.trial.folder / "logs"
            self.local = closing.enter_context(LocalStack(store_url=url, logs=logs))
            if self._way is None:
                self.broker = self.local.start_broker(limits=self._limits)
            self._influxd = self.local.start_influxdb(folder) if kind == "influxdb" else None
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.__exit__(*error)  # type: ignore[arg-type]

    @property
    def influxd(self) -> Influxd:
        """The InfluxDB server, where the case has one."""
        if self._influxd is None:
            raise StackError("this case runs on SQLite")
        return self._influxd

    @property
    def is_on_influxdb(self) -> bool:
        """Whether the store is InfluxDB, and not SQLite."""
        return self._influxd is not None

    @property
    def batch_readings(self) -> int:
        """About how many readings make a batch at the case's rate."""
        return int(self.rate * _BATCH_SECONDS)

    def start_ingest(
        self,
        settings: Mapping[str, str] = _NO_SETTINGS,
        *,
        client_id: str = "ingest-1",
        module: str | None = None,
        way: Way | None = None,
    ) -> Service:
        """Start an ingest and a watch on it; those of the first one are `ingest` and `watch`."""
        self.trial.say("starting ingest")
        way = way or self._named_way()
        ingest = self.local.start_ingest(
            client_id,
            ways=[way] if way else [],
            settings=settings,
            module=module or self.trial.ingest_module,
        )
        data = Path(ingest.environment["INGEST_DATA_DIR"])
        kept = settings.get("INGEST_QUARANTINE_DIR", str(data / "quarantine"))
        self.quarantines.append(Path(kept))
        watch = self._closing.enter_context(Watch(ingest))
        if not self.watches:
            self.ingest, self.watch = ingest, watch
        self.watches.append(watch)
        return ingest

    def start_fleet(
        self,
        settings: Mapping[str, str] = _NO_SETTINGS,
        *,
        rate: int | None = None,
        client_id: str = "sensors-1",
        fleet: Path = FLEET,
        qos: str | None = None,
        wait: bool = True,
        way: Way | None = None,
    ) -> Fleet:
        """Start a fleet of `rate` readings a second, and wait until so many are stored.

        The first one is `fleet`.
        """
        self.trial.say("connecting the fleet")
        rate = rate or self.rate
        started = self.local.start_fleet(
            fleet,
            devices=rate // READINGS_A_DEVICE,
            client_id=client_id,
            qos=qos or "mixed",
            way=way or self._named_way(),
            settings={"SENSORS_DRAIN_SECONDS": str(_DRAIN_SECONDS), **settings},
        )
        if not self._fleets:
            self.fleet = started
        self._fleets.append((started, rate))
        if wait:
            self._await_steady(rate)
        return started

    def _named_way(self) -> Way | None:
        return None if self._way is None else self.local.ways.named(self._way)

    def restart_ingest(self, settings: Mapping[str, str]) -> None:
        """Stop the first ingest in order, and start it with some settings changed."""
        self.trial.say("restarting ingest")
        self.ingest.stop()
        self.ingest.environment.update(settings)
        self.ingest.start()

    def figures(self) -> Figures:
        """Return the figures of the first ingest now."""
        return figures_of(self.ingest)

    def await_unacknowledged(
        self, ingest: Service | None = None, *, batches: int = 1, share: float = 1.0
    ) -> None:
        """Prove that a batch at least is received and not acknowledged, at this moment.

        While the store is held, one batch is on its way to it: ask for more to have some behind.
        An ingest that gets only a share of the readings has smaller batches.
        """
        held = 0.0

        def builds_up() -> bool:
            nonlocal held
            held = figures_of(ingest or self.ingest)["in_flight_readings"]
            return held >= batches * share * self.batch_readings

        seen = holds_within(builds_up, _BUILDS_UP_WITHIN_SECONDS)
        self.trial.fault(seen, f"{held:,.0f} readings were received and not yet acknowledged")

    @contextmanager
    def store_held(self) -> Iterator[None]:
        """Keep the store from confirming anything, so that what ingest receives waits for it."""
        if self._influxd is None:
            with _locked(self.local.store_url.removeprefix("sqlite:///")):
                yield
            return
        os.kill(self._influxd.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if self._influxd.is_running:
                os.kill(self._influxd.pid, signal.SIGCONT)

    def pass_time(self, seconds: float, what: str) -> None:
        """Let the pipeline run on for some seconds, saying what is waited for."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.trial.say(f"{what}: {left:.0f} s left")
            time.sleep(min(left, 1.0))

    def must_be_back(self, since: float, within_seconds: float, *, of: str = "its restart") -> None:
        """Note whether ingest writes at the fleet's rate again soon enough after a moment."""

        def at_rate(moment: Moment) -> bool:
            start = max(since, moment.at - 1.4)
            rates = self.watch.rates("written_readings", start, moment.at, window_seconds=0.9)
            return bool(rates) and rates[-1] >= HELD_SHARE * self.rate

        took = self.watch.await_seen(at_rate, after=since, deadline_seconds=within_seconds + 5)
        self.trial.must(
            took is not None and took <= within_seconds,
            f"back at {self.rate:,} readings/s {_seconds(took)} after {of}"
            f" ({within_seconds:g} s allowed)",
        )

    def finish(
        self,
        *,
        earlier: Iterable[StoredSequence] = (),
        quarantine_keeps: bool = False,
        overwritten: int = 0,
        refused: bool = False,
        calm_within_seconds: float = _CALM_WITHIN_SECONDS,
    ) -> AuditReport:
        """End the fleets, wait until all is calm, and audit; the trial gets what was found.

        `earlier` are readings that were stored and deleted on purpose; with `quarantine_keeps` a
        reading in quarantine counts as kept; so many `overwritten` ones the audit has to name;
        `refused` says that the broker was to refuse some.
        """
        self._end_fleets(refused=refused)
        self.trial.say("waiting until all is stored")
        calm = holds_within(self._is_calm, calm_within_seconds, 0.5)
        self.trial.must(calm, "nothing is left in flight or in the spool" if calm else "not calm")
        self.trial.say("auditing")
        kept = chain(earlier, quarantined.readings(self.quarantines) if quarantine_keeps else ())
        report = self._audit(kept)
        self.trial.audited(report, overwritten=overwritten)
        for watch in self.watches:
            self._judge(watch)
        return report

    def quarantine_records(self) -> list[quarantined.Record]:
        """Return what is in quarantine."""
        return [one for folder in self.quarantines for one in quarantined.records(folder)]

    @contextmanager
    def store(self) -> Iterator[Store]:
        """Open the store as a reader, besides ingest."""
        store = self.local.open_store()
        try:
            yield store
        finally:
            store.close()

    def must_have_acknowledged_all(self) -> None:
        """Note whether the broker has nothing for ingest any more: a new one receives nothing."""
        self.ingest.restart()
        held = 0.0

        def comes() -> bool:
            nonlocal held
            held = self.figures()["messages"]
            return held > 0

        holds_within(comes, _COMES_WITHIN_SECONDS, 0.1)
        self.trial.must(not held, f"{held:.0f} messages came again to an ingest started afterwards")

    def devices_at(self, qos: int) -> set[str]:
        """Return the devices that published at a level, as the ledger tells."""
        ledger = read_ledger([self.local.ledger_folder])
        return {session.device for session in ledger.sessions if session.qos == qos}

    def stored_count(self) -> int:
        """Return how many readings the store has, asked directly."""
        with self.store() as store:
            return sum(count.count for count in store.sequence_counts())

    def log_lines(self, level: str) -> list[str]:
        """Return the latest lines of a level in the first ingest's log."""
        lines = self.ingest.log_tail(500).splitlines()
        return [line for line in lines if f'"level": "{level}"' in line]

    def sequences(self) -> list[StoredSequence]:
        """Return all that the store has, as the audit sees it."""
        with self.store() as store:
            return list(store.sequences())

    def _await_steady(self, rate: int) -> None:
        since = time.monotonic()

        def at_rate() -> bool:
            now = time.monotonic()
            latest = (
                watch.rates("written_readings", since, now, window_seconds=0.9)[-1:]
                for watch in self.watches
            )
            return sum(chain.from_iterable(latest)) >= _STEADY_SHARE * rate

        if not holds_within(at_rate, _STEADY_WITHIN_SECONDS, 0.1):
            raise self.ingest.failure(f"does not write {rate:,} readings/s before the fault")

    def _end_fleets(self, *, refused: bool) -> None:
        self.trial.say("ending the fleet")
        for fleet, _rate in self._fleets:
            fleet.terminate()
        for fleet, rate in self._fleets:
            code = fleet.wait(_DRAIN_SECONDS + 30)
            if code != 0:
                raise fleet.failure(f"ended with exit code {code}")
            told = msgspec.json.decode(fleet.report_path.read_bytes())
            self.fleet_reports[fleet.name] = told
            self._judge_fleet(fleet.name, told, rate, refused=refused)
        self._fleets = []

    def _judge_fleet(self, name: str, told: dict[str, Any], rate: int, *, refused: bool) -> None:
        levels = told["by_qos"].values()
        offered, due = sum(level["offered"] for level in levels), rate * told["seconds"]
        self.trial.must(
            offered >= HELD_SHARE * due,
            f"{name} offered {offered:,} readings in {told['seconds']:.0f} s"
            f" ({offered / due:.1%} of its rate)",
        )
        left = sum(level["unfinished"] for level in levels)
        self.trial.must(not left, f"{left} readings left in an outbox")
        count = sum(level["refused"] for level in levels)
        self.trial.must(bool(count) == refused, f"{count:,} readings refused by the broker")

    def _is_calm(self) -> bool:
        with suppress(OSError):
            before = [figures_of(watch.ingest) for watch in self._running()]
            time.sleep(0.7)
            after = [figures_of(watch.ingest) for watch in self._running()]
            return all(map(_is_still, before, after)) and bool(after)
        return False

    def _running(self) -> list[Watch]:
        return [watch for watch in self.watches if watch.ingest.is_running]

    def _audit(self, kept: Iterable[StoredSequence]) -> AuditReport:
        return audit(read_ledger([self.local.ledger_folder]), chain(kept, self.sequences()))

    def _judge(self, watch: Watch) -> None:
        looks = sum(moment.figures is not None for moment in watch.moments)
        wrong = watch.imbalances
        name = watch.ingest.name
        self.trial.must(
            looks and not wrong,
            f"{name}: received + taken over = written + quarantined + spooled + in flight +"
            f" dropped at {looks - len(wrong)} of {looks} looks",
        )
        megabytes = watch.most_bytes / 1e6
        allowed = MOST_BYTES / 1e6
        self.trial.must(
            watch.most_bytes <= MOST_BYTES,
            f"{name} held at most {megabytes:.0f} MB ({allowed:.0f} allowed)",
        )


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold an SQLite file's write lock."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")
    finally:
        connection.close()


def _is_still(before: Figures, after: Figures) -> bool:
    same = all(before[name] == after[name] for name in ("received_readings", "written_readings"))
    return same and not after["in_flight_readings"] and not after["spooled_readings"]


def _seconds(took: float | None) -> str:
    return "never" if took is None else f"{took:.1f} s"
