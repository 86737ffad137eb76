"""The audit through the API: what it makes of answers, whole, late, missing and wrong."""

import json
import time
from pathlib import Path

import pytest

from loadtest.asking import Asker
from loadtest.auditing import Counted, add, audit_through
from loadtest.settings import LoadtestSettings
from telemetry.ledger import Ledger, LedgerWriter, read_ledger

BOOT_MS = 1_700_000_000_000


class Answers(Asker):
    """An API that gives these answers, the last of them again and again; it notes what is asked."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        super().__init__(LoadtestSettings())
        self._answers = list(answers)
        self.asked: list[str] = []

    def get(self, path: str) -> tuple[int, bytes]:
        self.asked.append(path)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def ledger(tmp_path: Path, *, qos: int = 1, offered: int = 3, acknowledged: int = 3) -> Ledger:
    path = tmp_path / "one.ledger"
    writer = LedgerWriter(path)
    session = writer.open_session(site="loadtest", device="load-1-0000", boot_ms=BOOT_MS, qos=qos)
    for seq in range(offered):
        writer.offered(session, seq, BOOT_MS + 10 * seq, "load")
    for seq in range(acknowledged if qos else 0):
        writer.acknowledged(session, seq)
    writer.close()
    return read_ledger([path])


def page(*sequences: int, following: str | None = None) -> tuple[int, bytes]:
    readings = [
        {
            "time": f"2023-11-14T22:13:20.{10 * seq:03}Z",
            "site": "loadtest",
            "device": "load-1-0000",
            "measurement": "load",
            "values": {"value": 1.0},
            "boot": "2023-11-14T22:13:20.000Z",
            "seq": seq,
        }
        for seq in sequences
    ]
    return 200, json.dumps({"readings": readings, "next": following}).encode()


def audited(told: Ledger, *answers: tuple[int, bytes], seconds: float = 0) -> Counted:
    return audit_through(Answers(*answers), told, time.monotonic() + seconds + 0.5, lambda _: None)


def test_what_is_all_there_over_several_pages_lost_nothing(tmp_path: Path) -> None:
    answers = Answers(page(0, 1, following="/v1/next"), page(2))

    found = audit_through(answers, ledger(tmp_path), time.monotonic() + 5)

    assert found == Counted(offered=3, acknowledged=3)
    assert answers.asked[1] == "/v1/next"


def test_a_reading_that_the_api_does_not_show_is_lost(tmp_path: Path) -> None:
    told = ledger(tmp_path)

    assert audited(told, page(0, 2)).lost == 1
    assert audited(told, (404, b"")).lost == 3


def test_what_was_not_acknowledged_or_published_at_qos_0_cannot_be_lost(tmp_path: Path) -> None:
    assert audited(ledger(tmp_path, acknowledged=1), page(0)).lost == 0
    (tmp_path / "one.ledger").unlink()
    assert audited(ledger(tmp_path, qos=0), page(0)).lost == 0


def test_what_is_on_its_way_is_waited_for(tmp_path: Path) -> None:
    found = audited(ledger(tmp_path), page(0), page(0, 1), page(0, 1, 2), seconds=5)

    assert found.lost == 0


def test_readings_of_an_earlier_boot_are_not_this_ones(tmp_path: Path) -> None:
    status, body = page(0, 1, 2)
    earlier = body.replace(b'"boot": "2023-11-14T22:13:20', b'"boot": "2023-11-14T22:13:19')

    assert audited(ledger(tmp_path), (status, earlier)) == Counted(3, 3, lost=3)


@pytest.mark.parametrize("answer", [(503, b""), (200, b"{")])
def test_an_api_that_does_not_answer_makes_it_void(
    tmp_path: Path, answer: tuple[int, bytes]
) -> None:
    assert audited(ledger(tmp_path), answer).why.startswith("load-1-0000: ")


def test_what_could_not_be_asked_in_time_is_not_taken_for_nothing(tmp_path: Path) -> None:
    found = audit_through(Answers(page(0, 1, 2)), ledger(tmp_path), time.monotonic() - 1)

    assert "in time" in found.why


def test_a_sum_is_void_where_one_part_is() -> None:
    assert add([Counted(3, 2, 1, 0), Counted(1, 1, 1, 1)]) == Counted(4, 3, 2, 1)
    assert add([Counted(3, 2), Counted(why="no answer")]).why == "no answer"
