"""A file's lines are the same however it is cut into pieces, and none takes more than its bound."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sources.folder.lines import BadLine, Line, LineCutter
from ingest.sources.line_ends import MOST_EMPTY_LINES

LONGEST = 10


def cut(*pieces: bytes) -> list[Line]:
    cutter = LineCutter(LONGEST)
    lines = [line for piece in pieces for line in cutter.feed(piece)]
    return lines + cutter.end()


def test_lines_come_without_their_ends_and_empty_ones_are_passed_over() -> None:
    assert cut(b"a\r\nb\n\n", b"\r\n", b"c", b"d\r", b"\n") == [b"a", b"b", b"cd"]


@given(st.lists(st.binary(max_size=LONGEST).map(lambda one: one.replace(b"\n", b"x"))), st.data())
def test_where_a_file_is_cut_into_pieces_makes_no_difference(
    lines: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(line + b"\n" for line in lines)
    pieces = []
    while whole:
        size = data.draw(st.integers(1, LONGEST))
        pieces.append(whole[:size])
        whole = whole[size:]

    found = [line for line in cut(*pieces) if not isinstance(line, BadLine)]

    assert found == [line.removesuffix(b"\r") for line in lines if line not in (b"", b"\r")]


def test_a_line_that_is_too_long_is_kept_as_far_as_allowed_and_the_next_ones_come() -> None:
    found = cut(b"a" * 8, b"b" * 10, b"c\nnext\n")

    assert found == [
        BadLine(b"a" * 8 + b"bb", "a line of 19 bytes: its first 10 are kept"),
        b"next",
    ]


def test_a_line_without_an_end_is_bad_for_it_may_be_half_of_one() -> None:
    assert cut(b"whole\nhal") == [b"whole", BadLine(b"hal", "the last line has no end")]


def test_an_endless_line_keeps_no_more_than_its_bound() -> None:
    cutter = LineCutter(LONGEST)
    for _ in range(1_000):
        assert cutter.feed(b"x" * LONGEST) == []

    assert cutter.end() == [BadLine(b"x" * 10, "a line of 10,000 bytes: its first 10 are kept")]


@pytest.mark.parametrize("count", [1, 1_000_000])
def test_a_file_of_empty_lines_alone_is_one_bad_line(count: int) -> None:
    cutter = LineCutter(1_000_000)

    assert cutter.feed(b"\n" * count) == []
    assert cutter.end() == [BadLine(b"", f"{count:,} empty lines")]


def test_empty_lines_between_others_are_told_of_where_they_are_too_many() -> None:
    few = b"\n" * MOST_EMPTY_LINES
    cutter = LineCutter(1_000_000)

    assert cutter.feed(b"a\n" + few + b"b\n") == [b"a", b"b"]
    assert cutter.end() == []

    assert cutter.feed(b"\n") == []
    assert cutter.end() == [BadLine(b"", "1,001 empty lines")]
