"""The audit names exactly what is wrong, and nothing where nothing is."""

from pathlib import Path

import msgspec
import pytest

from telemetry.audit import NAMED_LOSSES_AT_QOS_0, AuditReport, FindingKind, audit
from telemetry.ledger import LedgerError, LedgerWriter, read_ledger
from telemetry.reading import Reading
from telemetry.store.sqlite import SQLiteStore

BOOT_MS = 1_700_000_000_000
COUNT = 20
DEVICES = {"node-0": 0, "node-1": 1, "node-2": 2}


def reading(device: str, seq: int, *, time_ms: int | None = None) -> Reading:
    time = BOOT_MS + seq * 1000 if time_ms is None else time_ms
    return Reading("jakarta", device, "weather", time, {"temperature": 21.5}, BOOT_MS, seq)


@pytest.fixture
def ledger_path(tmp_path: Path) -> Path:
    """Three devices, one a level, each with 20 readings, all acknowledged but the last."""
    path = tmp_path / "fleet.ledger"
    writer = LedgerWriter(path)
    for device, qos in DEVICES.items():
        session = writer.open_session(site="jakarta", device=device, boot_ms=BOOT_MS, qos=qos)
        for seq in range(COUNT):
            writer.offered(session, seq, BOOT_MS + seq * 1000, "weather")
            if qos and seq < COUNT - 1:
                writer.acknowledged(session, seq)
    writer.close()
    return path


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    return SQLiteStore(str(tmp_path / "store.db"))


def write_all(store: SQLiteStore, *, without: set[tuple[str, int]] = frozenset()) -> None:  # type: ignore[assignment]
    store.write(
        [
            reading(device, seq)
            for device in DEVICES
            for seq in range(COUNT)
            if (device, seq) not in without
        ]
    )


def audited(path: Path, store: SQLiteStore) -> AuditReport:
    return audit(read_ledger([path]), store.sequences())


def found(report: AuditReport) -> list[tuple[FindingKind, int | None, str, int]]:
    return [(one.kind, one.qos, one.device, one.seq) for one in report.findings]


def test_where_all_is_stored_nothing_is_found(ledger_path: Path, store: SQLiteStore) -> None:
    write_all(store)

    report = audited(ledger_path, store)

    assert report.findings == []
    assert report.promise_kept
    assert [report.by_qos[qos].offered for qos in (0, 1, 2)] == [COUNT] * 3
    assert [report.by_qos[qos].stored for qos in (0, 1, 2)] == [COUNT] * 3
    assert [report.by_qos[qos].acknowledged for qos in (0, 1, 2)] == [None, COUNT - 1, COUNT - 1]


def test_losses_at_qos_0_never_crowd_out_a_broken_promise(
    tmp_path: Path, store: SQLiteStore
) -> None:
    writer = LedgerWriter(tmp_path / "many.ledger")
    for device, qos, count in (("node-0", 0, NAMED_LOSSES_AT_QOS_0 + 1), ("node-1", 1, 2000)):
        session = writer.open_session(site="jakarta", device=device, boot_ms=BOOT_MS, qos=qos)
        for seq in range(count):
            writer.offered(session, seq, BOOT_MS + seq * 1000, "weather")
            if qos:
                writer.acknowledged(session, seq)
    writer.close()

    report = audited(tmp_path / "many.ledger", store)

    assert [one.qos for one in report.findings] == [1] * 2000 + [0] * NAMED_LOSSES_AT_QOS_0
    assert report.by_qos[0].lost == NAMED_LOSSES_AT_QOS_0 + 1


def test_it_names_exactly_what_was_removed_added_moved_and_stored_at_one_time(
    ledger_path: Path, store: SQLiteStore
) -> None:
    removed, moved, first, second = 3, 5, 8, 9
    write_all(
        store,
        without={("node-1", removed), ("node-1", moved), ("node-2", first), ("node-2", second)},
    )
    store.write(
        [
            reading("node-1", moved, time_ms=BOOT_MS + moved * 1000 + 1),
            reading("node-1", COUNT + 7),
            # Two at one time: the second takes the place of the first.
            reading("node-2", first),
            reading("node-2", second, time_ms=BOOT_MS + first * 1000),
        ]
    )

    report = audited(ledger_path, store)

    assert sorted(found(report), key=str) == sorted(
        [
            ("lost", 1, "node-1", removed),
            ("phantom", 1, "node-1", COUNT + 7),
            ("moved", 1, "node-1", moved),
            ("moved", 2, "node-2", second),
            ("overwritten", 2, "node-2", first),
        ],
        key=str,
    )
    assert not report.promise_kept


def test_a_reading_stored_at_two_times_is_duplicated(ledger_path: Path, store: SQLiteStore) -> None:
    write_all(store)
    store.write([reading("node-2", 4, time_ms=BOOT_MS + 4001)])

    report = audited(ledger_path, store)

    assert found(report) == [("duplicated", 2, "node-2", 4)]
    assert report.by_qos[2].stored == COUNT


def test_a_reading_stored_under_two_measurements_is_duplicated(
    ledger_path: Path, store: SQLiteStore
) -> None:
    write_all(store)
    store.write([Reading("jakarta", "node-1", "other", BOOT_MS, {"a": 1.0}, BOOT_MS, 0)])

    assert found(audited(ledger_path, store)) == [("duplicated", 1, "node-1", 0)]


def test_two_offered_at_one_time_leave_one_overwritten(tmp_path: Path, store: SQLiteStore) -> None:
    writer = LedgerWriter(tmp_path / "one.ledger")
    session = writer.open_session(site="jakarta", device="node-1", boot_ms=BOOT_MS, qos=1)
    for seq in (0, 1):
        writer.offered(session, seq, BOOT_MS, "weather")
        writer.acknowledged(session, seq)
    writer.close()
    store.write([reading("node-1", seq, time_ms=BOOT_MS) for seq in (0, 1)])

    report = audited(tmp_path, store)

    assert found(report) == [("overwritten", 1, "node-1", 0)]


def test_what_is_missing_and_was_not_acknowledged_is_not_lost(
    ledger_path: Path, store: SQLiteStore
) -> None:
    write_all(store, without={("node-1", COUNT - 1), ("node-2", COUNT - 1)})

    assert audited(ledger_path, store).findings == []


def test_what_was_refused_dropped_or_left_is_no_loss_and_counted_apart(
    tmp_path: Path, store: SQLiteStore
) -> None:
    writer = LedgerWriter(tmp_path / "one.ledger")
    session = writer.open_session(site="jakarta", device="node-1", boot_ms=BOOT_MS, qos=1)
    for seq in range(10):
        writer.offered(session, seq, BOOT_MS + seq * 1000, "weather")
    writer.acknowledged(session, 0)
    writer.refused(session, 1)
    for seq in (2, 3):
        writer.dropped(session, seq)
    writer.close()
    store.write([reading("node-1", 0)])

    report = audited(tmp_path, store)

    level = report.by_qos[1]
    assert (level.acknowledged, level.refused, level.dropped, level.unfinished) == (1, 1, 2, 6)
    assert report.findings == []
    assert report.promise_kept


def test_at_qos_0_dropped_readings_are_counted_and_nothing_is_unfinished(
    tmp_path: Path, store: SQLiteStore
) -> None:
    writer = LedgerWriter(tmp_path / "one.ledger")
    session = writer.open_session(site="jakarta", device="node-0", boot_ms=BOOT_MS, qos=0)
    for seq in range(3):
        writer.offered(session, seq, BOOT_MS + seq * 1000, "weather")
    writer.dropped(session, 1)
    writer.close()
    store.write([reading("node-0", seq) for seq in (0, 2)])

    report = audited(tmp_path, store)

    level = report.by_qos[0]
    assert (level.dropped, level.acknowledged, level.unfinished) == (1, None, None)
    assert found(report) == [("lost", 0, "node-0", 1)]


def write_two_processes(folder: Path) -> None:
    """Of four readings the first process has one acknowledged, the next one two of the rest."""
    for number, (offers, acknowledged) in enumerate([([0, 1, 2, 3], [0]), ([1, 2, 3], [1, 2])]):
        writer = LedgerWriter(folder / f"{number}.ledger")
        session = writer.open_session(site="jakarta", device="node-1", boot_ms=BOOT_MS, qos=1)
        for seq in offers:
            writer.offered(session, seq, BOOT_MS + seq * 1000, "weather")
        for seq in acknowledged:
            writer.acknowledged(session, seq)
        writer.close()


def test_one_boot_in_the_ledgers_of_two_processes_is_one(
    tmp_path: Path, store: SQLiteStore
) -> None:
    write_two_processes(tmp_path)
    store.write([reading("node-1", seq) for seq in (0, 1, 2)])

    report = audited(tmp_path, store)

    level = report.by_qos[1]
    assert (level.offered, level.acknowledged, level.unfinished, level.stored) == (4, 3, 1, 3)
    assert report.findings == []


@pytest.mark.parametrize("missing", [0, 1])
def test_a_loss_is_found_whichever_process_had_the_acknowledgement(
    tmp_path: Path, store: SQLiteStore, missing: int
) -> None:
    write_two_processes(tmp_path)
    store.write([reading("node-1", seq) for seq in (0, 1, 2) if seq != missing])

    assert found(audited(tmp_path, store)) == [("lost", 1, "node-1", missing)]


def test_the_ledger_of_the_later_process_makes_sense_alone(
    tmp_path: Path, store: SQLiteStore
) -> None:
    write_two_processes(tmp_path)
    (tmp_path / "0.ledger").unlink()
    store.write([reading("node-1", seq) for seq in (1, 2)])

    report = audited(tmp_path, store)

    assert report.promise_kept
    assert report.by_qos[1].acknowledged == 2


def test_one_boot_at_two_levels_is_named(tmp_path: Path) -> None:
    for qos in (1, 2):
        writer = LedgerWriter(tmp_path / f"{qos}.ledger")
        writer.open_session(site="jakarta", device="node-1", boot_ms=BOOT_MS, qos=qos)
        writer.close()

    with pytest.raises(LedgerError, match=r"2\.ledger:1: not a line of a ledger"):
        read_ledger([tmp_path])


def test_at_qos_0_what_is_missing_is_lost_and_the_promise_still_kept(
    ledger_path: Path, store: SQLiteStore
) -> None:
    write_all(store, without={("node-0", 6)})

    report = audited(ledger_path, store)

    assert found(report) == [("lost", 0, "node-0", 6)]
    assert report.promise_kept


def test_a_reading_of_an_unknown_device_is_a_phantom(ledger_path: Path, store: SQLiteStore) -> None:
    write_all(store)
    store.write([reading("stranger", 0)])

    report = audited(ledger_path, store)

    assert found(report) == [("phantom", None, "stranger", 0)]
    assert not report.promise_kept


def test_readings_without_boot_and_sequence_are_left_out(
    ledger_path: Path, store: SQLiteStore
) -> None:
    write_all(store)
    store.write([Reading("denyut", "ingest-1", "denyut_ingest", BOOT_MS, {"a": 1.0})])

    assert audited(ledger_path, store).findings == []


def test_a_torn_last_line_of_a_ledger_is_passed_over(ledger_path: Path, store: SQLiteStore) -> None:
    write_all(store)
    with ledger_path.open("a") as ledger:
        ledger.write("o 3 20 17000")

    assert audited(ledger_path, store).findings == []


def test_a_line_that_makes_no_sense_is_named(ledger_path: Path) -> None:
    with ledger_path.open("a") as ledger:
        ledger.write("o 99 0 5 1\n")

    with pytest.raises(
        LedgerError, match=r"fleet\.ledger:\d+: not a line of a ledger: 'o 99 0 5 1'"
    ):
        read_ledger([ledger_path])


def test_the_ledgers_of_several_processes_are_read_together(tmp_path: Path) -> None:
    for number in (1, 2):
        writer = LedgerWriter(tmp_path / f"{number}.ledger")
        session = writer.open_session(site="s", device=f"d{number}", boot_ms=BOOT_MS, qos=1)
        writer.offered(session, 0, BOOT_MS, f"m{number}")
        writer.close()

    ledger = read_ledger([tmp_path])

    assert [(one.device, ledger.name_of(one.measurements[0])) for one in ledger.sessions] == [
        ("d1", "m1"),
        ("d2", "m2"),
    ]


def add_to(path: Path, *lines: str) -> None:
    with path.open("a") as file:
        file.writelines(f"{line}\n" for line in lines)


def test_what_a_simulated_fault_explains_is_expected_and_counted_by_its_kind(
    ledger_path: Path, store: SQLiteStore
) -> None:
    # Session 2 is node-1, at QoS 1: one reading is refused by ingest, one stays, one is stuck.
    add_to(ledger_path, "f 2 3 malformed", "x 2 3", "f 2 19 dropout", "d 2 19", "f 2 5 stuck")
    add_to(ledger_path, "f 1 7 dropout", "d 1 7", "e 2 1700000000000 stuck")
    write_all(store, without={("node-1", 3), ("node-1", 19), ("node-0", 7)})

    report = audited(ledger_path, store)

    assert report.findings == []
    assert report.promise_kept
    faults = {name: msgspec.structs.astuple(counts) for name, counts in report.faults.items()}
    assert faults == {
        "stuck": (1, 1, 1, 0, 0, 0),
        "malformed": (0, 1, 0, 0, 1, 0),
        "dropout": (0, 2, 0, 2, 0, 0),
    }


def test_a_fault_explains_nothing_but_what_it_does(ledger_path: Path, store: SQLiteStore) -> None:
    # A stuck reading that is missing is lost, and so is a dropped one at QoS 0 without a fault.
    add_to(ledger_path, "f 2 5 stuck", "d 1 7", "f 2 3 malformed", "x 2 3")
    write_all(store, without={("node-1", 5), ("node-0", 7)})

    report = audited(ledger_path, store)

    assert set(found(report)) == {
        ("lost", 1, "node-1", 5), ("lost", 0, "node-0", 7), ("phantom", 1, "node-1", 3),
    }  # fmt: skip
    assert not report.promise_kept


def test_a_reading_whose_place_a_jumped_clock_took_is_expected_to_be_overwritten(
    ledger_path: Path, store: SQLiteStore
) -> None:
    add_to(ledger_path, f"o 2 20 {BOOT_MS + 4000} 1", "a 2 20", "f 2 20 clock-jump")
    write_all(store, without={("node-1", 4)})
    store.write([reading("node-1", 20, time_ms=BOOT_MS + 4000)])

    report = audited(ledger_path, store)

    assert report.promise_kept
    assert report.by_qos[1].overwritten == 0
    assert report.faults["clock-jump"].overwritten == 1


@pytest.mark.parametrize("line", ["f 2 99 stuck", "f 9 1 stuck", "x 9 1", "e 9 1 stuck", "f 2 1"])
def test_a_fault_of_a_reading_or_session_that_is_not_there_makes_no_sense(
    ledger_path: Path, line: str
) -> None:
    add_to(ledger_path, line)
    with pytest.raises(LedgerError, match="not a line of a ledger"):
        read_ledger([ledger_path])
