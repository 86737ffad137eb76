"""The quarantine keeps what it was given, whole, and within its budget."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.quarantine import Quarantine, QuarantineRecord, segments


def record(number: int, payload: bytes = b"x") -> QuarantineRecord:
    return QuarantineRecord(number, "telemetry/s/d/m", 1, "a reason", payload)


@given(st.binary(), st.text(), st.none() | st.text(), st.none() | st.integers(0, 9))
def test_any_payload_topic_and_reason_come_back_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    payload: bytes,
    text: str,
    content_type: str | None,
    index: int | None,
) -> None:
    kept = QuarantineRecord(1, text, 2, text, payload, content_type, index)
    quarantine = Quarantine(tmp_path_factory.mktemp("quarantine"), 10**6)

    quarantine.keep([kept])

    assert list(quarantine.records()) == [kept]


def test_records_come_back_in_order_over_several_files_and_starts(tmp_path: Path) -> None:
    for start in range(3):
        quarantine = Quarantine(tmp_path, 8_000)
        quarantine.keep([record(start * 2)])
        quarantine.keep([record(start * 2 + 1, b"y" * 1000)])

    assert [one.time_ms for one in Quarantine(tmp_path, 8_000).records()] == list(range(6))


def test_past_its_budget_the_oldest_file_goes_and_is_counted(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, 8_000)

    evicted = sum(quarantine.keep([record(number, b"y" * 500)]) for number in range(100))

    kept = [one.time_ms for one in quarantine.records()]
    assert evicted > 0
    assert kept == list(range(100 - len(kept), 100))
    assert sum(path.stat().st_size for path in segments(tmp_path)) <= 8_000


def test_a_torn_last_line_is_passed_over(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path, 10**6)
    quarantine.keep([record(1), record(2)])
    (path,) = segments(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])

    assert [one.time_ms for one in quarantine.records()] == [1]


def test_its_size_is_that_of_its_files(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine", 10**6)
    assert quarantine.size() == 0

    quarantine.keep([record(1, b"x" * 300)])

    assert quarantine.size() == sum(
        path.stat().st_size for path in segments(tmp_path / "quarantine")
    )
