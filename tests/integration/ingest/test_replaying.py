"""A person's replays: the spool of an ingest that is gone, and what was in quarantine."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ingest.batch import Batch
from ingest.message import Message
from ingest.quarantine import Quarantine, QuarantineRecord
from ingest.spool import Spool
from ingest.spool_segment import encode_record
from telemetry.lineprotocol import format_line
from telemetry.payload.native import encode_native
from telemetry.reading import Reading

NOW_MS = time.time_ns() // 1_000_000


def ingest(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        env={
            "PATH": os.environ["PATH"],
            "INGEST_STORE_URL": f"sqlite:///{tmp_path}/store.db",
            "INGEST_DATA_DIR": str(tmp_path / "data"),
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def reading(seq: int, **values: float) -> Reading:
    values = values or {"a": 1.0}
    return Reading("jakarta", "node-1", "weather", NOW_MS + seq, {**values}, NOW_MS, seq)


def spooled(tmp_path: Path, readings: list[Reading]) -> None:
    """Leave a spool behind as an ingest does: one record for every ten readings."""
    spool = Spool(tmp_path / "data" / "spool", 10**9)
    spool.open()
    for start in range(0, len(readings), 10):
        part = readings[start : start + 10]
        spool.append("".join(f"{format_line(one)}\n" for one in part).encode(), (0, len(part), 0))
    spool.close()


def quarantined(tmp_path: Path, *records: QuarantineRecord) -> Quarantine:
    quarantine = Quarantine(tmp_path / "data" / "quarantine", 10**9)
    quarantine.keep(list(records))
    return quarantine


def test_the_spool_is_listed_and_replayed(
    tmp_path: Path, stored: Callable[[], list[Reading]]
) -> None:
    readings = [reading(seq) for seq in range(95)]
    spooled(tmp_path, readings)

    listed = ingest(tmp_path, "spool", "list")
    replayed = ingest(tmp_path, "spool", "replay")

    assert listed.stdout.splitlines()[-1] == "95 readings in 1 segments"
    assert (replayed.returncode, replayed.stdout.splitlines()[-1]) == (
        0,
        "stored 95 readings out of the spool",
    )
    assert stored() == readings
    assert ingest(tmp_path, "spool", "list").stdout == "0 readings in 0 segments\n"


def test_a_spool_that_is_in_use_is_not_replayed_but_listed(tmp_path: Path) -> None:
    spooled(tmp_path, [reading(1)])
    spool = Spool(tmp_path / "data" / "spool", 10**9)
    spool.open()
    try:
        replayed = ingest(tmp_path, "spool", "replay")
        assert (replayed.returncode, "in use" in replayed.stderr) == (2, True)
        assert ingest(tmp_path, "spool", "list").returncode == 0
    finally:
        spool.close()


def test_a_damaged_record_goes_to_quarantine_and_all_others_are_stored(
    tmp_path: Path, stored: Callable[[], list[Reading]]
) -> None:
    readings = [reading(seq) for seq in range(30)]
    spooled(tmp_path, readings)
    (path,) = (tmp_path / "data" / "spool").glob("*.lp")
    path.write_bytes(path.read_bytes().replace(b"seq=12i", b"seq=99i"))

    assert ingest(tmp_path, "spool", "replay").returncode == 0

    assert stored() == readings[:10] + readings[20:]
    (record,) = Quarantine(tmp_path / "data" / "quarantine", 10**9).records()
    assert record.reason == "a part of the spool is damaged: 10 readings"
    assert record.payload.count(b"\n") == 10


def test_a_torn_last_record_is_passed_over(
    tmp_path: Path, stored: Callable[[], list[Reading]]
) -> None:
    readings = [reading(seq) for seq in range(10)]
    spooled(tmp_path, readings)
    (path,) = (tmp_path / "data" / "spool").glob("*.lp")
    torn = encode_record(f"{format_line(reading(99))}\n".encode(), (0, 1, 0))[:-9]
    path.write_bytes(path.read_bytes() + torn)

    assert ingest(tmp_path, "spool", "replay").returncode == 0

    assert stored() == readings


def test_a_quarantined_message_is_shown(tmp_path: Path) -> None:
    record = QuarantineRecord(5, "a/b", 1, "why", b"\xffpay", index=3)
    ((name, _record),) = quarantined(tmp_path, record).named_records()

    shown = ingest(tmp_path, "quarantine", "show", name)

    assert shown.stdout.splitlines() == [
        "time_ms: 5",
        "topic: a/b",
        "qos: 1",
        "index: 3",
        "reason: why",
        "payload: \\xffpay",
    ]
    assert ingest(tmp_path, "quarantine", "show", "nothing:1").returncode == 2


def test_replayed_what_can_be_stored_now_is_and_the_rest_stays_with_its_reason(
    tmp_path: Path, stored: Callable[[], list[Reading]]
) -> None:
    topic = "telemetry/jakarta/node-1/weather"
    pack = b"[" + encode_native(reading(2)) + b',{"ts":"x"},{"ts":"y"}]'
    quarantine = quarantined(
        tmp_path,
        QuarantineRecord(
            NOW_MS, topic, 1, "its measurement had another type", encode_native(reading(1))
        ),
        QuarantineRecord(NOW_MS, topic, 2, "bad", pack, index=1),
        QuarantineRecord(NOW_MS, topic, 2, "bad", pack, index=2),
        QuarantineRecord(NOW_MS, "nowhere", 0, "no topic template matches", b"{}"),
        # What a sender might not write does not get in by being replayed.
        QuarantineRecord(
            NOW_MS, topic, 1, "not its device", encode_native(reading(3)), devices=("node-2",)
        ),
    )

    replayed = ingest(tmp_path, "quarantine", "replay")

    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.splitlines()[-1] == ("stored 2 readings; 4 are in quarantine again")
    assert [one.seq for one in stored()] == [1, 2]
    kept = [(one.topic, one.index) for one in quarantine.records()]
    assert sorted(kept, key=str) == sorted(
        [(topic, 1), (topic, 2), ("nowhere", None), (topic, None)], key=str
    )


def test_a_batch_knows_the_level_of_each_reading() -> None:
    batch = Batch()
    batch.add(Message("t", b"", 2, 0), [b"a", b"b"], [1, 2], 0)
    batch.add(Message("t", b"", 0, 0), [b"c"], [3], 0)

    assert [batch.qos_of(index) for index in range(3)] == [2, 2, 0]
