"""Backup and restore between two real servers, compared by the audit and point by point."""

import itertools
import random
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from influxdb_client import InfluxDBClient
from msgspec import Struct

from stack.local import LocalStack
from stack.setup import rollup
from stack.setup.archive import Archive, ArchiveWriter, BackedUpBucket, Manifest
from stack.setup.plan import Plan
from telemetry.audit import AuditReport, audit
from telemetry.ledger import LedgerWriter, read_ledger
from telemetry.reading import Reading, Value
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import InfluxSession, Place
from tests.eventually import eventually
from tests.integration.store.conftest import operator_token
from tests.integration.store.setup_command import Ended, line, setup_command

DEVICES = 20
EVERY_MS = 7 * 60_000
DAYS = 5
DAY_MS = 86_400_000
KEEP_REPLACED_SECONDS = "0"  # nobody reads, but where a test does
NOW_MS = time.time_ns() // 1_000_000
FIRST_MS = NOW_MS - DAYS * DAY_MS


class Side(Struct):
    """One server and the set-up in it that is backed up or restored."""

    local: LocalStack
    bucket: str

    @property
    def operator(self) -> str:
        return operator_token(self.local).value

    @property
    def buckets(self) -> tuple[str, ...]:
        return tuple(Plan(bucket=self.bucket).buckets)

    def command(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run a command whose token comes by standard input, before what else is there."""
        given = line({"operator_token": self.operator}) + stdin
        ended = setup_command(
            self.local.store_url,
            *arguments,
            bucket=self.bucket,
            stdin=given,
            keep_replaced_seconds=KEEP_REPLACED_SECONDS,
        )
        assert self.operator not in ended.stderr
        assert self.operator.encode() not in ended.stdout
        return ended

    def set_up(self) -> Ended:
        return self.command("exchange")

    def back_up(self) -> bytes:
        ended = self.command("backup", "--secrets-from-stdin")
        assert ended.code == 0, ended.stderr
        return ended.stdout

    def restore(self, backup: bytes, *options: str) -> Ended:
        return self.command("restore", "--secrets-from-stdin", *options, stdin=backup)

    def store(self) -> InfluxStore:
        place = Place(self.local.store_url, "denyut", self.bucket)
        return InfluxStore(place, operator_token(self.local))

    def audit(self, ledger: Path) -> AuditReport:
        store = self.store()
        try:
            return audit(read_ledger([ledger]), store.sequences())
        finally:
            store.close()

    def points(self) -> dict[str, Any]:
        """All points of all buckets."""
        return {name.removeprefix(self.bucket): self._points(name) for name in self.buckets}

    def _points(self, bucket: str) -> Any:
        place = Place(self.local.store_url, "denyut", bucket)
        session = InfluxSession(place, operator_token(self.local), 60)
        try:
            return session.query("SELECT * FROM /.*/ GROUP BY *", {})
        finally:
            session.close()

    def ids(self) -> dict[str, str]:
        """The buckets that begin with our name, and their ids."""
        with self.client() as client:
            found = client.buckets_api().find_buckets_iter()
            return {one.name: one.id for one in found if one.name.startswith(self.bucket)}

    def client(self) -> InfluxDBClient:
        # Minutes of five days take a while where other tests run too.
        return InfluxDBClient(
            url=self.local.store_url, token=self.operator, org="denyut", timeout=120_000
        )


class Written(Struct):
    """A side full of readings, and the ledger of those."""

    side: Side
    ledger: Path
    backup: bytes


@pytest.fixture(scope="module")
def written(influxdb: LocalStack, tmp_path_factory: pytest.TempPathFactory) -> Written:
    side = Side(influxdb, f"a-{uuid.uuid4().hex}")
    assert side.set_up().code == 0
    ledger = tmp_path_factory.mktemp("ledger") / "one.ledger"
    write_fleet(side, ledger)
    window = rollup.Window(f"-{DAYS + 1}d", "now()")
    with side.client() as client:
        for flux in (rollup.minutes(side.bucket, window), rollup.hours(side.bucket, window)):
            client.query_api().query(flux)
    return Written(side, ledger, side.back_up())


@pytest.fixture(scope="module")
def other_server(influxd_installed: None) -> Iterator[LocalStack]:  # noqa: ARG001
    with LocalStack() as local:
        local.start_influxdb()
        yield local


@pytest.fixture
def fresh(other_server: LocalStack) -> Side:
    """Another server after its own set-up."""
    side = Side(other_server, f"b-{uuid.uuid4().hex}")
    assert side.set_up().code == 0
    return side


def write_fleet(side: Side, ledger: Path) -> None:
    writer = LedgerWriter(ledger)
    readings = []
    for number in range(DEVICES):
        device = f"node-{number}"
        session = writer.open_session(site="jakarta", device=device, boot_ms=1, qos=1)
        for seq, time_ms in enumerate(range(FIRST_MS, NOW_MS, EVERY_MS)):
            values: dict[str, Value] = {"a": float(seq % 17), "b": float(number)}
            readings.append(Reading("jakarta", device, "weather", time_ms, values, 1, seq))
            writer.offered(session, seq, time_ms, "weather")
            writer.acknowledged(session, seq)
    writer.close()
    store = side.store()
    assert store.write(readings) == []
    store.close()


def test_a_backup_restored_into_another_server_is_the_same_to_the_audit(
    written: Written, fresh: Side
) -> None:
    ended = fresh.restore(written.backup, "--replace")

    assert ended.code == 0, ended.stderr
    there, here = (side.audit(written.ledger) for side in (written.side, fresh))
    assert here == there
    assert here.promise_kept
    assert (
        here.by_qos[1].stored
        == here.by_qos[1].offered
        == DEVICES * len(range(FIRST_MS, NOW_MS, EVERY_MS))
    )
    points = fresh.points()
    assert all(points.values())
    assert points == written.side.points()


def test_after_a_restore_the_set_up_makes_tokens_and_finds_all_else_in_place(
    written: Written, fresh: Side
) -> None:
    fresh.restore(written.backup, "--replace")

    changes = fresh.set_up().answer["changes"]

    assert [change.split(",")[0] for change in changes] == [
        f"made the token of {name}" for name in ("ingest", "api", "grafana")
    ]
    store = fresh.store()
    later = Reading("jakarta", "node-1", "weather", NOW_MS + 1, {"a": 1.0}, 2, 0)
    assert store.write([later]) == []
    assert later in store.latest()
    store.close()
    assert set(fresh.ids()) == set(fresh.buckets)


def test_buckets_that_are_there_are_kept_without_replace(written: Written, fresh: Side) -> None:
    ids = fresh.ids()

    ended = fresh.restore(written.backup)

    assert ended.code == 2
    assert ended.stderr == (
        f"denyut-setup: the server has {', '.join(fresh.buckets)} already:"
        " --replace deletes what is there\n"
    )
    assert fresh.ids() == ids


def test_what_was_there_is_gone_after_replace(written: Written, fresh: Side) -> None:
    store = fresh.store()
    store.write([Reading("jakarta", "stranger", "weather", NOW_MS, {"a": 1.0}, 1, 0)])
    store.close()

    assert fresh.restore(written.backup, "--replace").code == 0

    assert fresh.points() == written.side.points()


def flipped(backup: bytes) -> bytes:
    at = backup.index(b"weather")
    return backup[:at] + bytes([backup[at] ^ 4]) + backup[at + 1 :]


@pytest.mark.parametrize("damage", ["cut short", "flipped", "nothing"])
def test_a_damaged_backup_is_refused_with_nothing_changed(
    written: Written, fresh: Side, damage: str
) -> None:
    backup = {
        "cut short": written.backup[: len(written.backup) * 2 // 3],
        "flipped": flipped(written.backup),
        "nothing": b"",
    }[damage]
    ids = fresh.ids()

    ended = fresh.restore(backup, "--replace")

    assert ended.code == 2
    assert ended.stderr.startswith("denyut-setup: the backup is damaged")
    assert len(ended.stderr.splitlines()) == 1
    assert fresh.ids() == ids


def with_a_shard_that_no_server_takes(path: Path) -> bytes:
    """Make of a backup one that is whole, and in its last shard not what InfluxDB makes."""
    spoilt = path.with_suffix(".spoilt")
    with path.open("rb") as file, spoilt.open("wb") as out:
        archive, writer = Archive(file), ArchiveWriter(out)
        raw = archive.manifest.buckets[0]
        last = raw.shards[-1].id
        junk = random.Random(1).randbytes(5000) + bytes(1024)
        shards = [
            writer.add_shard(one.id, [junk] if one.id == last else archive.read(one))
            for one in raw.shards
        ]
        bucket = BackedUpBucket(raw.suffix, raw.metadata, shards)
        writer.finish(Manifest(made_at="now", influxdb="2.9.1", buckets=[bucket]))
    return spoilt.read_bytes()


def test_a_restore_that_fails_half_way_leaves_what_was_there(
    written: Written, fresh: Side, tmp_path: Path
) -> None:
    path = tmp_path / "backup.tar"
    path.write_bytes(written.backup)
    assert fresh.restore(written.backup, "--replace").code == 0

    failed = fresh.restore(with_a_shard_that_no_server_takes(path), "--replace")

    assert failed.code == 2
    assert "has stored nothing of it" in failed.stderr.splitlines()[-1]
    assert fresh.points() == written.side.points()
    assert fresh.restore(written.backup, "--replace").code == 0
    assert set(fresh.ids()) == set(fresh.buckets)


def test_what_was_stored_before_a_backup_under_load_began_is_in_it(
    written: Written, fresh: Side, tmp_path: Path
) -> None:
    side = Side(written.side.local, f"l-{uuid.uuid4().hex}")
    side.set_up()
    ledger = tmp_path / "load.ledger"
    load = Load(side, ledger)
    eventually(lambda: load.stored > 20_000, deadline_seconds=60, what="readings stored")

    load.acknowledge()
    backup = side.back_up()
    load.stop()

    fresh.restore(backup, "--replace")
    report = fresh.audit(ledger).by_qos[1]
    assert report.acknowledged is not None
    assert report.acknowledged > 20_000
    assert report.lost == 0
    assert report.offered > report.acknowledged


class Load:
    """Writes readings as fast as the store takes them, spread over three days."""

    def __init__(self, side: Side, ledger: Path) -> None:
        self.stored = 0
        self._store = side.store()
        self._writer = LedgerWriter(ledger)
        self._session = self._writer.open_session(site="s", device="d", boot_ms=1, qos=1)
        self._stopping = threading.Event()
        self._asked = threading.Event()
        self._acknowledged = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def acknowledge(self) -> None:
        """Note what is stored by now as acknowledged."""
        self._asked.set()
        assert self._acknowledged.wait(30)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._writer.close()
        self._store.close()

    def _run(self) -> None:
        for batch in itertools.count():
            if self._stopping.is_set():
                return
            self._write(range(batch * 1000, batch * 1000 + 1000))
            if self._asked.is_set() and not self._acknowledged.is_set():
                for seq in range(self.stored):
                    self._writer.acknowledged(self._session, seq)
                self._acknowledged.set()

    def _write(self, numbers: range) -> None:
        readings = []
        for seq in numbers:
            time_ms = NOW_MS - seq % 3 * DAY_MS + seq
            readings.append(Reading("s", "d", "m", time_ms, {"a": float(seq)}, 1, seq))
            self._writer.offered(self._session, seq, time_ms, "m")
        assert self._store.write(readings) == []
        self.stored = numbers.stop


def test_a_backup_goes_into_a_private_file_and_comes_from_it(
    written: Written, fresh: Side, tmp_path: Path
) -> None:
    path = tmp_path / "backup.tar"

    made = written.side.command("backup", "--secrets-from-stdin", "--to", str(path))

    assert (made.code, made.stdout) == (0, b"")
    assert path.stat().st_mode & 0o777 == 0o600
    token = tmp_path / "operator-token"
    token.write_text(fresh.operator)
    restored = setup_command(
        fresh.local.store_url,
        *("restore", "--from", str(path), "--replace"),
        bucket=fresh.bucket,
        operator_token_file=str(token),
        keep_replaced_seconds=KEEP_REPLACED_SECONDS,
    )
    assert restored.code == 0, restored.stderr
    assert fresh.points() == written.side.points()


def test_a_backup_that_fails_leaves_no_file(fresh: Side, tmp_path: Path) -> None:
    nowhere = Side(fresh.local, "nowhere")

    ended = nowhere.command("backup", "--secrets-from-stdin", "--to", str(tmp_path / "backup.tar"))

    assert ended.code == 2
    assert ended.stderr.splitlines()[-1].endswith("has no bucket nowhere in denyut")
    assert list(tmp_path.iterdir()) == []


def test_a_backup_holds_no_token(written: Written) -> None:
    with written.side.client() as client:
        hashed = [one.id for one in client.authorizations_api().find_authorizations()]

    assert hashed
    assert not [one for one in hashed if one.encode() in written.backup]
    assert written.side.operator.encode() not in written.backup


def test_what_is_replaced_is_deleted_when_no_task_reads_it_any_more(
    written: Written, fresh: Side
) -> None:
    """InfluxDB 2.9.1 ends where a bucket is deleted that a query reads."""
    store = fresh.store()
    for seq in range(100):
        time_ms = NOW_MS - 3_600_000 + seq * 1_000
        store.write_lines(
            [b"m,device=d%d,site=s a=1.5,b=2.5 %d" % (n, time_ms) for n in range(1_000)]
        )
    store.close()
    with fresh.client() as client:
        tasks = client.tasks_api()
        (task,) = tasks.find_tasks(name=f"{fresh.bucket}_1m")
        for _ in range(6):
            tasks.run_manually(task.id)

        def states() -> set[str]:
            return {run.status for run in tasks.get_runs(task.id)}

        # None has to begin yet, and not all have ended.
        eventually(lambda: "started" in states() <= {"started", "success"})

        ended = fresh.restore(written.backup, "--replace")

        assert ended.code == 0, ended.stderr
        assert states() == {"success"}
    assert set(fresh.ids()) == set(fresh.buckets)
    assert fresh.points()[""] == written.side.points()[""]


def test_a_bucket_that_a_restore_has_left_without_its_name_gets_it_back(fresh: Side) -> None:
    ids = fresh.ids()
    with fresh.client() as client:
        found = client.buckets_api().find_bucket_by_name(fresh.bucket)
        found.name += "_replaced"
        client.buckets_api().update_bucket(found)

    ended = fresh.restore(b"")

    assert ended.code == 2
    assert "has" in ended.stderr
    assert fresh.ids() == ids
