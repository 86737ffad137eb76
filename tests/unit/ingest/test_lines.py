"""Lines of a stream: the same ones however the stream was cut, and never more kept than one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.message import Receipt
from ingest.sources import lines
from ingest.sources.line_ends import MOST_EMPTY_LINES
from ingest.sources.lines import MOST_NAMED, LineSplitter, Trouble
from telemetry.payload import Rejected

LONGEST = 20
STREAMS = st.lists(
    st.one_of(
        st.sampled_from([b"\n", b"\r\n", b"\r", b"\n" * 30]),
        st.binary(max_size=LONGEST + 4),
        st.just(b"x" * LONGEST),
    ),
    max_size=12,
).map(b"".join)


def fed(pieces: list[bytes]) -> tuple[list[bytes], Trouble | None, int]:
    splitter = LineSplitter(LONGEST)
    found = [line for piece in pieces for line in splitter.feed(piece)]
    return found, splitter.trouble, splitter.unfinished_bytes


@given(STREAMS, st.lists(st.integers(0, 300), max_size=20))
def test_a_stream_cut_anywhere_gives_the_same_lines_and_the_same_trouble(
    stream: bytes, cuts: list[int]
) -> None:
    ends = sorted(min(cut, len(stream)) for cut in cuts)
    pieces = [
        stream[begin:end] for begin, end in zip([0, *ends], [*ends, len(stream)], strict=True)
    ]

    assert fed(pieces) == fed([stream]) == fed([stream[n : n + 1] for n in range(len(stream))])


@given(st.lists(st.binary(min_size=1, max_size=LONGEST - 1).filter(lambda one: b"\n" not in one)))
def test_what_was_joined_by_newlines_comes_out_again(payloads: list[bytes]) -> None:
    found, trouble, unfinished = fed([b"".join(one + b"\n" for one in payloads)])

    # Of CRs only one belongs to the line's end.
    without_end = [one.removesuffix(b"\r") for one in payloads]
    assert found == [one for one in without_end if one]
    assert (trouble, unfinished) == (None, 0)


@given(STREAMS)
def test_no_more_than_one_line_is_ever_kept(stream: bytes) -> None:
    splitter = LineSplitter(LONGEST)
    for n in range(len(stream)):
        splitter.feed(stream[n : n + 1])
        assert splitter.unfinished_bytes <= LONGEST


def test_empty_lines_are_passed_over_and_not_counted() -> None:
    splitter = LineSplitter(LONGEST)

    assert splitter.feed(b"\n\r\na\r\n\n\nb\n\n") == [b"a", b"b"]
    splitter.feed(b"c" * (LONGEST + 1))

    assert splitter.trouble == Trouble("a line is longer than 20 bytes", 3)


def test_so_many_empty_lines_in_a_row_and_no_more_are_borne() -> None:
    splitter = LineSplitter(LONGEST)

    assert splitter.feed(b"\n" * MOST_EMPTY_LINES + b"a\n") == [b"a"]
    assert splitter.feed(b"\n" * MOST_EMPTY_LINES) == []
    assert splitter.trouble is None
    splitter.feed(b"\n")

    assert splitter.trouble == Trouble("more than 1,000 empty lines in a row")


@pytest.mark.parametrize("end", [b"", b"\nmore\n"])
def test_a_line_that_is_too_long_ends_the_stream_and_spares_those_before_it(end: bytes) -> None:
    splitter = LineSplitter(LONGEST)

    found = splitter.feed(b"good\n" + b"x" * (LONGEST + 1) + end)

    assert found == [b"good"]
    assert splitter.trouble == Trouble("a line is longer than 20 bytes", 2)
    assert splitter.feed(b"good\n") == []
    assert splitter.unfinished_bytes == 0


def test_a_line_may_be_as_long_as_is_allowed() -> None:
    assert fed([b"x" * LONGEST, b"\n"]) == ([b"x" * LONGEST], None, 0)


def test_a_last_line_without_an_end_is_no_line() -> None:
    splitter = LineSplitter(LONGEST)

    assert splitter.feed(b"whole\nha") == [b"whole"]
    splitter.end()

    assert splitter.trouble == Trouble("the last line has no end", 2)


def test_a_stream_may_end_with_a_whole_line() -> None:
    splitter = LineSplitter(LONGEST)
    splitter.feed(b"whole\n")
    splitter.end()

    assert splitter.trouble is None


def test_an_answer_says_how_many_lines_are_safe() -> None:
    assert lines.durable(17, []) == b'{"durable":17}\n'


def test_an_answer_names_the_readings_that_went_to_quarantine() -> None:
    packs, whole = Receipt(), Receipt()
    packs.note_rejected([Rejected(0, "no"), Rejected(3, "never")], is_whole=False)
    whole.note_rejected([Rejected(0, "no JSON")], is_whole=True)

    answer = json.loads(lines.durable(18, [*lines.named(16, packs), *lines.named(18, whole)]))

    assert answer == {
        "durable": 18,
        "quarantined": [
            {"line": 16, "index": 0, "reason": "no"},
            {"line": 16, "index": 3, "reason": "never"},
            {"line": 18, "reason": "no JSON"},
        ],
    }


def test_an_answer_stays_short_however_much_was_quarantined() -> None:
    receipt = Receipt()
    receipt.rejected = [Rejected(n, "x" * 60_000) for n in range(30_000)]
    many = lines.named(1, receipt)

    answer = lines.durable(1, many, unnamed=7)

    assert len(answer) < 200_000
    assert json.loads(answer)["unnamed"] == len(many) - MOST_NAMED + 7


def test_an_error_is_one_line_of_json() -> None:
    assert json.loads(lines.error(Trouble("too long", 4))) == {"error": "too long", "line": 4}
    assert lines.error(Trouble("too many\nconnections")).count(b"\n") == 1


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (b'{"key": "abc"}', "abc"),
        (b'{"key": 5}', None),
        (b'{"ts": 1, "values": {"a": 1}}', None),
        (b"\xff\xfe\x00", None),
        (b'{"x":' + b"[" * 4_000, None),
        (b'{"key": "\xff"}', None),
        (b"", None),
    ],
)
def test_a_key_line_is_read_or_is_none(line: bytes, key: str | None) -> None:
    assert lines.key_in(line) == key
