"""The comparison: the same readings for every way, rows that stand alone, and a verdict."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bench.compare import __main__ as command
from bench.compare import order_watch
from bench.compare.corpus import DEVICES, Corpus, addressed, device_name, publishing
from bench.compare.figures import Compared, Cpu, Latency, Losses, Rate, Speed, gather
from bench.compare.rows import ROWS, Row
from bench.compare.running import Went
from bench.compare.sender import Sent
from stack.faults import packets
from telemetry.lineprotocol import format_line
from telemetry.payload import decode
from telemetry.reading import Address, Reading
from telemetry.store.sqlite import SQLiteStore

NOTHING_LOST = Losses(0, 0, 4_000, 14_000, True)


def speed(readings_per_second: float, p99: float = 100.0) -> Speed:
    rate = Rate(readings_per_second, Cpu(1.0, None, 10.0), 1.0, f"ingest {readings_per_second}")
    return Speed(rate, rate, Latency(50.0, p99), 200.0, 120.0)


def readings(payload: bytes, address: Address | None) -> list[Reading]:
    decoded = decode(payload, address, arrival_ms=0)
    assert not decoded.rejected
    return list(decoded.readings)


def test_the_corpus_is_the_same_for_every_way() -> None:
    topics = Corpus(publishing(1, 100), boot_ms=1_000)
    itself = Corpus(addressed, boot_ms=1_000)
    for published, sent in zip(
        topics.beforehand(2, 25, 10), itself.beforehand(2, 25, 10), strict=True
    ):
        body = packets.body_of(published.payload)
        payload = body[body.index(b"[") :]
        address = Address("compare", device_name(published.device), "load")
        assert readings(payload, address) == readings(sent.payload, None)


def test_every_reading_has_a_number_and_a_time_of_its_own() -> None:
    parcels = Corpus(addressed, boot_ms=1_000).beforehand(DEVICES, 30, 7)
    found = [one for parcel in parcels for one in readings(parcel.payload, None)]

    assert len(found) == 30 * DEVICES
    assert len({(one.device, one.time_ms) for one in found}) == len(found)
    assert len({(one.device, one.seq) for one in found}) == len(found)


def test_a_row_is_the_median_of_its_rounds_and_names_what_limited_that_round() -> None:
    row = gather(
        "tcp",
        promised=True,
        store="sqlite",
        speeds=[speed(300, 9), speed(100, 8), speed(200, 7)],
        losses=NOTHING_LOST,
        why="",
    )

    assert (row.readings_per_second, row.spread, row.rounds) == (200, (100, 300), 3)
    assert row.limited_by == "ingest 200"
    assert row.latency_ms == Latency(50.0, 8.0)


@pytest.mark.parametrize(
    ("cpu_seconds", "idle_share", "limited_by"),
    [
        ({"sender": 0.5, "ingest": 1.8}, 0.4, "ingest: 90% of a core"),
        ({"sender": 1.2, "ingest": 1.2}, 0.05, "all cores: sender 60%, ingest 60%"),
        (
            {"sender": 0.2, "ingest": 0.4},
            0.0,
            "all cores: sender 10%, ingest 20%, other programs 170%",
        ),
        ({"sender": 0.2, "ingest": 0.4}, 0.7, "waiting: sender 10%, ingest 20%"),
    ],
)
def test_what_limited_a_sending_is_told_by_cpu(
    cpu_seconds: dict[str, float],
    idle_share: float,
    limited_by: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.compare.running.cores", lambda: 2)
    sent = Sent(
        offered={"d": 1_000},
        unsafe=[],
        seconds=2.0,
        cpu_seconds=0.0,
        wire_bytes=0,
        late_ms_p99=0.0,
        reopened=0,
    )

    went = Went(sent, 1_000, 2.0, cpu_seconds, idle_share)

    assert went.limited_by.startswith(limited_by)


@pytest.mark.parametrize(
    ("promised", "lost", "broken"),
    [(True, 0, False), (True, 1, True), (False, 900, False)],
)
def test_only_a_way_that_promises_can_break_its_promise(
    promised: bool, lost: int, broken: bool
) -> None:
    row = Compared(name="x", promised=promised, store="sqlite", lost_sigkill=0, lost_away=lost)

    assert row.broke_its_promise is broken


class Faked:
    """Stands for measuring: one row fails, one loses, the others are well."""

    def __init__(self, *, failing: str = "", losing: str = "", failures: int = 99) -> None:
        self.failing, self.losing, self.failures = failing, losing, failures
        self.measured: list[str] = []

    def speed(self, row: Row, _store: str) -> Speed:
        self.measured.append(row.name)
        if row.name == self.failing and self.failures:
            self.failures -= 1
            raise ValueError("no such server here [or so]")
        return speed(1_000)

    def losses(self, row: Row) -> Losses:
        return Losses(3, 0, 4_000, 14_000, True) if row.name == self.losing else NOTHING_LOST


def run(
    monkeypatch: pytest.MonkeyPatch, folder: Path, faked: Faked, *arguments: str
) -> tuple[int, list[dict[str, object]], str]:
    monkeypatch.setattr(command, "speed", faked.speed)
    monkeypatch.setattr(command, "losses", faked.losses)
    report = folder / "compare.json"
    ended = CliRunner().invoke(command.application, [*arguments, "--report", str(report)])
    rows = json.loads(report.read_text()) if report.exists() else []
    return ended.exit_code, rows, ended.output


def test_the_rounds_go_through_all_rows_in_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faked = Faked()
    code, rows, _said = run(
        monkeypatch, tmp_path, faked, "--rows", "tcp,unix,mqtt", "--rounds", "2"
    )

    names = ["tcp", "unix", "mqtt-0", "mqtt-1", "mqtt-2", "mqtt-tls"]
    assert faked.measured == names * 2
    assert [row["name"] for row in rows] == names
    assert code == 0
    design = "name readings_per_second latency_ms cpu_us bytes_per_reading lost_sigkill lost_away"
    assert set(rows[0]) >= {*design.split(), "ordered", "limited_by"}


def test_a_row_that_fails_says_why_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faked = Faked(failing="tcp")
    code, rows, said = run(monkeypatch, tmp_path, faked, "--rows", "tcp,unix", "--rounds", "2")

    assert faked.measured == ["tcp", "tcp", "unix", "unix"]
    assert rows[0]["readings_per_second"] is None
    assert "no such server here" in str(rows[0]["why"])
    assert rows[1]["readings_per_second"] == 1_000
    assert "no such server here" in said
    assert code == 1


def test_what_fails_once_and_then_not_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faked = Faked(failing="tcp", failures=1)
    code, rows, said = run(monkeypatch, tmp_path, faked, "--rows", "tcp", "--rounds", "2")

    assert faked.measured == ["tcp"] * 3
    assert (code, rows[0]["why"], rows[0]["rounds"]) == (0, "", 2)
    assert "no such server here [or so]" in said


def test_a_promise_that_was_broken_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, _rows, said = run(monkeypatch, tmp_path, Faked(losing="tcp"), "--rows", "tcp")
    assert (code, "lost what they promise: tcp" in said) == (1, True)

    code, _rows, said = run(monkeypatch, tmp_path, Faked(losing="udp"), "--rows", "udp")
    assert (code, "No way that promises a reading has lost one" in said) == (0, True)


def test_a_row_that_there_is_not_is_named_with_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code, _rows, said = run(monkeypatch, tmp_path, Faked(), "--rows", "pigeon")

    assert code == 2
    assert "pigeon" in said
    assert all(row.name in said for row in ROWS[:2])


def test_a_reading_that_is_stored_before_an_earlier_one_is_noticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(order_watch.FILE, str(tmp_path / "early"))
    store = SQLiteStore(str(tmp_path / "store.db"))

    def stored(*numbers: int, device: str = "load-000") -> str:
        readings = [Reading("s", device, "m", 1_000 + n, {"a": 1.0}, 1_000, n) for n in numbers]
        order_watch.write_watched(store, [format_line(one).encode() for one in readings])
        return (tmp_path / "early").read_text()

    assert stored(0, 1, 2, 4) == "0"
    assert stored(4, 5) == "0"
    assert stored(0, device="load-001") == "0"
    assert stored(3, 6) == "1"
    store.close()
