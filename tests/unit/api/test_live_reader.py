"""A stream's queue: its bounds, its ids, and what it owes."""

import threading
import time

import pytest

from api.live.events import Chunk, Event, Wanted, chunk
from api.live.reader import Reader

FIRST = Chunk(b"a", b"b", 2, 10)
SECOND = Chunk(b"", b"c", 1, 20)


@pytest.fixture
def reader() -> Reader:
    return Reader(Wanted(), most_bytes=100, most_events=4)


def test_an_id_stands_before_the_last_event_of_what_is_sent_at_once(reader: Reader) -> None:
    assert reader.offer(FIRST)
    assert reader.offer(SECOND)
    assert reader.take(0) == b"ab" + b"id: 20\nc"
    assert reader.take(0) == b""


def test_one_who_owes_tells_no_id_until_all_is_paid(reader: Reader) -> None:
    reader.owe(5)
    reader.offer(FIRST)
    assert reader.take(0) == b"ab"
    debt = reader.debt
    assert debt is not None
    reader.settle(debt, 15)
    assert reader.debt is not None
    assert reader.debt.since_ms == 15
    reader.settle(debt, None)
    reader.offer(SECOND)
    assert reader.take(0) == b"id: 20\nc"


def test_what_is_missed_while_a_debt_is_paid_is_owed_still(reader: Reader) -> None:
    reader.owe(5)
    debt = reader.debt
    assert debt is not None
    reader.owe(7)
    reader.settle(debt, None)
    assert reader.debt is not None
    assert reader.debt.since_ms == 5


@pytest.mark.parametrize("too_much", [Chunk(b"x" * 100, b"", 1, 0), Chunk(b"", b"x", 5, 0)])
def test_one_for_whom_too_much_waits_is_ended_and_holds_nothing(
    reader: Reader, too_much: Chunk
) -> None:
    reader.offer(FIRST)
    assert not reader.offer(too_much)
    assert reader.end == "slow"
    assert reader.take(10) == b""
    assert reader.offer(FIRST), "it is counted once"
    assert reader.take(0) == b""


def test_taking_makes_room(reader: Reader) -> None:
    for _ in range(10):
        assert reader.offer(FIRST)
        assert reader.take(0)


def test_the_first_reason_to_end_stays(reader: Reader) -> None:
    reader.stop("stopping")
    reader.stop("key")
    assert reader.end == "stopping"


def test_one_who_waits_is_woken(reader: Reader) -> None:
    threading.Timer(0.05, lambda: reader.offer(SECOND)).start()
    began_s = time.monotonic()
    assert reader.take(10) == b"id: 20\nc"
    assert time.monotonic() - began_s < 5


def event(device: str = "d1", site: str = "hall", measurement: str | None = "weather") -> Event:
    return Event(site, device, measurement, b"")


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        (Wanted(), [True, True, True, True, False]),
        (Wanted(site="yard"), [False, True, False, False, False]),
        (Wanted(device="d1"), [True, False, False, True, False]),
        (Wanted(prefix="d"), [True, True, False, True, False]),
        (Wanted(measurement="weather"), [True, True, True, True, False]),
        (Wanted(measurement="air"), [False, False, False, True, False]),
        (Wanted(kinds="readings"), [True, True, True, False, False]),
        (Wanted(kinds="status"), [False, False, False, True, False]),
        (Wanted(site="denyut"), [False, False, False, False, True]),
        (Wanted(measurement="denyut_api"), [False, False, False, True, True]),
    ],
)
def test_a_reader_hears_of_what_it_wants_only(wanted: Wanted, taken: list[bool]) -> None:
    events = [
        event(),
        event("d2", "yard"),
        event("x1"),
        event(measurement=None),
        event("api-1", "denyut", "denyut_api"),
    ]
    assert [wanted.takes(one) for one in events] == taken


def test_events_of_one_write_are_put_together_once() -> None:
    events = [Event("hall", "d1", "weather", text) for text in (b"1", b"2", b"3")]
    assert chunk(events, 7) == Chunk(b"12", b"3", 3, 7)
