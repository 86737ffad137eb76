"""A stream's connection, before a transport and a pipeline of the test's own: no socket is open."""

import asyncio
import json
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.grant import Grant
from ingest.message import Receipt, settle
from ingest.sources.stream_connection import Limits, StreamConnection
from telemetry.payload import Rejected
from tests.eventually import eventually_async

READY = {"ready": True}
GRANT = Grant(("node-*",))
LIMITS = Limits(
    line_bytes=50, idle_seconds=60.0, line_seconds=10.0, unanswered_lines=5, unread_answer_bytes=999
)


class Keyring:
    """Knows one key."""

    def __init__(self) -> None:
        self.allowed: Grant | None = GRANT

    def grant(self, key: str) -> Grant | None:
        return self.allowed if key == "right" else None

    def is_known(self, key: str) -> bool:
        return self.grant(key) is not None


class Line:
    """The end of a wire on our side: what was written to it, and what was done with it."""

    def __init__(self, *, can_half_close: bool = True) -> None:
        self.written = b""
        self.can_half_close = can_half_close
        self.is_reading = True
        self.half_closed = self.closed = self.aborted = False
        self.limit_bytes: int | None = None

    @property
    def answers(self) -> list[Any]:
        return [json.loads(line) for line in self.written.splitlines()]

    def set_write_buffer_limits(self, high: int) -> None:
        self.limit_bytes = high

    def write(self, data: bytes) -> None:
        assert not self.half_closed
        assert not self.closed
        self.written += data

    def can_write_eof(self) -> bool:
        return self.can_half_close

    def write_eof(self) -> None:
        assert self.can_half_close
        self.half_closed = True

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        assert not self.is_reading
        self.is_reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = self.closed = True

    def is_closing(self) -> bool:
        return self.closed


class Desk:
    """Takes lines and makes them durable when the test says so."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.grants: list[Grant | None] = []
        self.receipts: list[Receipt] = []
        self.rejected: dict[bytes, list[Rejected]] = {}
        self.room = 10**9
        self.holds = 0
        self.unfinished_bytes = self.backlog_bytes = self.answered = 0
        self.ended: list[str] = []
        self.here: set[StreamConnection] = set()

    def accept(self, line: bytes, receipt: Receipt, grant: Grant | None, arrival_ms: int) -> None:
        assert abs(arrival_ms - time.time() * 1000) < 5000
        self.lines.append(line)
        self.grants.append(grant)
        receipt.rejected = self.rejected.get(line, [])
        self.receipts.append(receipt)
        self.room -= 1

    def make_durable(self, *numbers: int) -> None:
        """Make the lines of these numbers, or all that are left, durable."""
        left = self.receipts
        chosen = [left[number - 1] for number in numbers] or [one for one in left if one.pending]
        settle(chosen)

    def has_room(self) -> bool:
        return self.room > 0

    def hold(self) -> None:
        self.holds += 1
        for connection in self.here:
            connection.hold()

    def join(self, connection: StreamConnection) -> None:
        self.here.add(connection)

    def leave(self, connection: StreamConnection) -> None:
        self.here.discard(connection)

    def note_unfinished(self, more_bytes: int) -> None:
        self.unfinished_bytes += more_bytes
        assert self.unfinished_bytes >= 0

    def note_backlog(self, more_bytes: int) -> None:
        self.backlog_bytes += more_bytes
        assert self.backlog_bytes >= 0

    def note_answered(self, answered: int) -> None:
        self.answered += answered

    def note_ended(self, reason: str) -> None:
        self.ended.append(reason)


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def line() -> Line:
    return Line()


def connect(desk: Desk, line: Line, *, keys: Keyring | None = None) -> StreamConnection:
    connection = StreamConnection(desk, LIMITS, keys)
    connection.connection_made(cast("asyncio.Transport", line))
    return connection


def later(seconds: float) -> float:
    return time.monotonic() + seconds


def test_who_needs_no_key_is_told_at_once_that_lines_may_come(desk: Desk, line: Line) -> None:
    connect(desk, line)

    assert line.answers == [READY]


def test_nothing_is_answered_before_it_is_durable(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nb\nc\n")
    assert desk.lines == [b"a", b"b", b"c"]
    assert line.answers == [READY]

    desk.make_durable()

    assert line.answers == [READY, {"durable": 3}]
    assert desk.answered == 3


def test_an_answer_counts_no_line_behind_one_that_is_not_durable(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nb\nc\n")

    desk.make_durable(2, 3)
    assert line.answers == [READY]
    desk.make_durable(1)

    assert line.answers == [READY, {"durable": 3}]


def test_what_was_quarantined_is_named_by_its_line(desk: Desk, line: Line) -> None:
    desk.rejected = {b"bad": [Rejected(0, "no")], b"pack": [Rejected(4, "late")]}
    connection = connect(desk, line)
    connection.data_received(b"a\nbad\n\nb\n")
    desk.make_durable()
    connection.data_received(b"pack\n")
    desk.make_durable()

    assert line.answers[1:] == [
        {"durable": 3, "quarantined": [{"line": 2, "index": 0, "reason": "no"}]},
        {"durable": 4, "quarantined": [{"line": 4, "index": 4, "reason": "late"}]},
    ]


@given(st.data())
def test_a_key_lets_in_however_it_and_the_lines_are_cut(data: st.DataObject) -> None:
    stream = b'{"key": "right"}\n' + b"".join(b"line %d\n" % n for n in range(4))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    desk, line = Desk(), Line()
    connection = connect(desk, line, keys=Keyring())
    assert line.answers == []

    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        connection.data_received(stream[begin:end])

    assert desk.lines == [b"line %d" % n for n in range(4)]
    assert desk.grants == [GRANT] * 4
    assert line.answers == [READY]
    assert desk.unfinished_bytes == 0


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (b'{"key": "wrong"}\n', "key"),
        (b'{"ts": 1, "values": {"a": 1}}\n', "key"),
        (b"\n", "key"),
        (b"\xff\x00\n", "key"),
        (b"x" * 5_000, "framing"),
    ],
)
def test_without_a_known_key_no_line_is_taken(
    desk: Desk, line: Line, first: bytes, reason: str
) -> None:
    connection = connect(desk, line, keys=Keyring())

    connection.data_received(first + b"a\nb\n")
    connection.data_received(b"c\n")

    assert desk.lines == []
    assert "error" in line.answers[0]
    assert desk.ended == [reason]
    assert line.half_closed
    assert desk.unfinished_bytes == 0


def test_a_key_that_is_revoked_ends_its_connections(desk: Desk, line: Line) -> None:
    keyring = Keyring()
    connection = connect(desk, line, keys=keyring)
    connection.data_received(b'{"key": "right"}\na\n')
    keyring.allowed = Grant(("pump-1",))
    connection.mind_time(later(11))
    connection.data_received(b"b\n")
    assert desk.grants == [GRANT, Grant(("pump-1",))]
    keyring.allowed = None
    connection.mind_time(later(12))
    connection.data_received(b"c\n")
    assert desk.lines == [b"a", b"b", b"c"]

    connection.mind_time(later(22))
    desk.make_durable()

    assert line.answers[-2:] == [{"durable": 3}, {"error": "the key is known no more"}]
    assert desk.ended == ["key"]


def test_who_sends_no_key_in_time_is_turned_away(desk: Desk, line: Line) -> None:
    connection = connect(desk, line, keys=Keyring())
    connection.data_received(b'{"key')
    connection.mind_time(later(4.9))
    assert line.answers == []

    connection.mind_time(later(5.1))

    assert line.answers == [{"error": "no key within 5 s"}]
    assert desk.ended == ["slow"]


def test_so_many_unanswered_lines_and_no_more_are_taken_from_one_sender(
    desk: Desk, line: Line
) -> None:
    connection = connect(desk, line)

    connection.data_received(b"".join(b"%d\n" % n for n in range(8)))
    assert len(desk.lines) == LIMITS.unanswered_lines
    assert not line.is_reading
    desk.make_durable(1, 2)

    assert len(desk.lines) == LIMITS.unanswered_lines + 2
    assert not line.is_reading
    desk.make_durable(3, 4, 5, 6)
    assert desk.lines == [b"%d" % n for n in range(8)]
    assert line.is_reading


def test_who_has_as_many_lines_unanswered_as_it_may_is_not_read(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)

    connection.data_received(b"x\n" * LIMITS.unanswered_lines)
    assert not line.is_reading
    desk.make_durable(1)

    assert line.is_reading


def test_without_room_nothing_is_taken_until_there_is_some(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    desk.room = 2

    connection.data_received(b"a\nb\nc\nd\n")
    assert desk.lines == [b"a", b"b"]
    assert not line.is_reading
    desk.make_durable()
    assert desk.lines == [b"a", b"b"]
    desk.room = 2
    connection.go_on()

    assert desk.lines == [b"a", b"b", b"c", b"d"]
    assert line.is_reading


async def test_thousands_of_tiny_lines_let_others_have_their_turn(desk: Desk, line: Line) -> None:
    connection = StreamConnection(
        desk, msgspec.structs.replace(LIMITS, unanswered_lines=10**6), None
    )
    connection.connection_made(cast("asyncio.Transport", line))

    connection.data_received(b"x\n" * 10_000)
    first = len(desk.lines)
    await asyncio.sleep(0)
    second = len(desk.lines) - first
    await eventually_async(lambda: len(desk.lines) == 10_000)

    assert 0 < first < 1_000
    assert first == second
    assert line.is_reading


def test_what_ends_a_stream_is_said_behind_the_last_answer(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nb\n" + b"x" * 60)
    assert line.answers == [READY]
    assert not line.is_reading

    desk.make_durable()

    error = {"error": "a line is longer than 50 bytes", "line": 3}
    assert line.answers == [READY, {"durable": 2}, error]
    assert line.half_closed
    assert desk.ended == ["framing"]


def test_lines_before_the_end_are_taken_when_there_is_room(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    desk.room = 1
    connection.data_received(b"a\nb\n" + b"x" * 60)
    desk.make_durable()
    assert [*line.answers[-1]] == ["durable"]

    desk.room = 9
    connection.go_on()
    desk.make_durable()

    assert desk.lines == [b"a", b"b"]
    assert [*line.answers[-1]] == ["error", "line"]


def test_a_sender_that_goes_on_after_the_end_is_not_listened_to_for_long(
    desk: Desk, line: Line
) -> None:
    connection = connect(desk, line)
    connection.data_received(b"x" * 60)
    # It is read, so that what was said to it is not overtaken by a reset.
    assert line.is_reading
    connection.data_received(b"more\n")
    assert desk.lines == []
    assert not line.aborted

    connection.data_received(b"x" * 5_000_000)

    assert line.aborted


def test_a_sender_that_does_not_hear_of_the_end_is_cut_after_a_while(
    desk: Desk, line: Line
) -> None:
    connection = connect(desk, line)
    connection.data_received(b"x" * 60)
    connection.mind_time(later(1.9))
    assert not line.aborted

    connection.mind_time(later(2.1))

    assert line.aborted


def test_an_end_does_not_wait_for_ever_for_its_last_answers(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\n" + b"x" * 60)
    connection.mind_time(later(29))
    assert line.answers == [READY]

    connection.mind_time(later(31))

    assert [*line.answers[-1]] == ["error", "line"]


def test_who_is_done_is_answered_before_the_end(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nb\n")

    assert connection.eof_received() is True
    assert line.answers == [READY]
    desk.make_durable()

    assert line.answers == [READY, {"durable": 2}]
    assert line.closed
    assert desk.ended == []


def test_who_is_told_to_go_is_listened_to_until_it_has_gone(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\n")
    connection.hold()
    desk.make_durable()

    connection.close()

    # A reset, for what we have not read, could overtake the last answer.
    assert line.half_closed
    assert line.is_reading
    connection.data_received(b"b\n")
    assert desk.lines == [b"a"]
    assert connection.eof_received() is False


def test_half_a_line_at_the_end_is_no_line(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nhal")

    connection.eof_received()
    desk.make_durable()

    assert desk.lines == [b"a"]
    assert line.answers[-1] == {"error": "the last line has no end", "line": 2}
    assert desk.unfinished_bytes == 0


def test_over_tls_the_end_is_the_end(desk: Desk) -> None:
    line = Line(can_half_close=False)
    connection = connect(desk, line)
    connection.data_received(b"a\n")

    assert connection.eof_received() is False

    connection = connect(desk, line := Line(can_half_close=False))
    connection.data_received(b"x" * 60)
    assert line.closed
    assert [*line.answers[-1]] == ["error", "line"]


def test_a_line_that_takes_too_long_is_not_waited_for(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nb")
    connection.mind_time(later(9.9))
    connection.data_received(b"b")  # a byte now and then is no progress
    assert line.answers == [READY]

    connection.mind_time(later(10.1))
    desk.make_durable()

    assert line.answers[-1] == {"error": "a line without an end for 10 s"}
    assert desk.ended == ["slow"]


def test_each_line_has_its_own_time(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a")
    first_s = connection.line_since_s
    connection.data_received(b"a\nb")

    assert first_s is not None
    assert connection.line_since_s is not None
    assert connection.line_since_s > first_s


def test_who_is_silent_for_long_is_sent_away_unless_answers_are_owed(
    desk: Desk, line: Line
) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\n")
    connection.mind_time(later(61))
    assert desk.ended == []
    desk.make_durable()

    connection.mind_time(later(61))

    assert line.answers[-1] == {"error": "silent for 60 s"}
    assert desk.ended == ["idle"]


@pytest.mark.parametrize("sent", [b"", b"half a li"])
def test_nobody_is_slow_whom_we_do_not_read(desk: Desk, line: Line, sent: bytes) -> None:
    connection = connect(desk, line)
    connection.data_received(sent)
    connection.hold()
    connection.mind_time(later(1000))
    assert line.answers == [READY]

    connection.go_on()
    connection.mind_time(later(9))

    assert line.answers == [READY]
    assert line.is_reading


def test_who_does_not_read_the_answers_is_cut(desk: Desk, line: Line) -> None:
    connection = connect(desk, line)
    assert line.limit_bytes == LIMITS.unread_answer_bytes

    connection.pause_writing()

    assert line.aborted
    assert desk.ended == ["unread"]


def test_when_a_sender_is_gone_its_lines_are_kept_and_its_answers_forgotten(
    desk: Desk, line: Line
) -> None:
    connection = connect(desk, line)
    connection.data_received(b"a\nb\nhalf")
    line.close()
    connection.connection_lost(None)

    desk.make_durable()

    assert line.answers == [READY]
    assert desk.answered == 0
    assert desk.here == set()
    assert desk.unfinished_bytes == 0
    assert connection.lost.is_set()


@given(
    st.lists(
        st.sampled_from(["data", "durable", "room", "no room", "eof", "late", "bad"]), max_size=30
    )
)
def test_in_whatever_order_things_happen_answers_only_rise_and_count_what_is_durable(
    happenings: list[str],
) -> None:
    desk, line = Desk(), Line()
    connection = connect(desk, line)

    def come(data: bytes) -> None:
        if line.is_reading:
            connection.data_received(data)

    def have_room(lines: int) -> None:
        desk.room = lines
        connection.go_on()

    deeds: dict[str, Callable[[], object]] = {
        "data": partial(come, b"a\nb\nc"),
        "durable": desk.make_durable,
        "room": partial(have_room, 10**9),
        "no room": partial(have_room, 1),
        "eof": connection.eof_received,
        "late": lambda: connection.mind_time(later(15)),
        "bad": partial(come, b"x" * 60),
    }
    for one in happenings:
        if not line.closed:
            deeds[one]()

    counts = [answer["durable"] for answer in line.answers if "durable" in answer]
    assert counts == sorted(counts)
    assert desk.answered == (counts[-1] if counts else 0)
    durable = [receipt.pending for receipt in desk.receipts]
    assert desk.answered <= (durable.index(1) if 1 in durable else len(durable))
