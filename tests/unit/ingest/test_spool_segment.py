"""A segment holds records that come back as they were written, torn and damaged ones apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.spool_segment import (
    HEADING,
    Record,
    encode_record,
    read_gap,
    read_record,
    records,
)
from telemetry.lineprotocol import Point, format_line, parse_lines, parse_readings
from telemetry.reading import Reading
from tests.strategies import readings

COUNTS = st.integers(0, 10**6)
FIRST = encode_record(b"m,device=a,site=s a=1.0 1\n", (0, 1, 0))
SECOND = encode_record(b"m,device=a,site=s a=2.0 2\nm,device=a,site=s a=3.0 3\n", (1, 0, 1))
THIRD = encode_record(b"m,device=a,site=s a=4.0 4\n", (0, 0, 1))


def read_all(path: Path) -> list[Record]:
    """Read a segment as the spool does: records, and the gaps between them."""
    found, start = [], len(HEADING)
    while (one := read_record(path, start) or read_gap(path, start)) is not None:
        found.append(one)
        start = one.end
    return found


@given(st.lists(st.tuples(st.binary(), COUNTS, COUNTS, COUNTS), max_size=5))
def test_records_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[bytes, int, int, int]]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "1.lp"
    encoded = [encode_record(lines, (a, b, c)) for lines, a, b, c in written]
    path.write_bytes(HEADING + b"".join(encoded))

    found = read_all(path)

    assert [(one.lines, *one.by_qos) for one in found] == written
    assert all(one.is_whole for one in found)
    assert [one.readings for one in records(path)] == [a + b + c for _, a, b, c in written]


@given(st.lists(readings(), min_size=1, max_size=5))
def test_every_reading_of_a_record_comes_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, kept: list[Reading]
) -> None:
    path = tmp_path_factory.mktemp("spool") / "1.lp"
    lines = "".join(f"{format_line(one)}\n" for one in kept)
    path.write_bytes(HEADING + encode_record(lines.encode(), (0, len(kept), 0)))

    (record,) = read_all(path)

    assert parse_readings(record.lines.decode()) == kept


@given(st.integers(0, len(SECOND) - 1))
def test_a_record_that_was_cut_anywhere_is_passed_over_and_those_before_it_are_not(
    tmp_path_factory: pytest.TempPathFactory, left: int
) -> None:
    path = tmp_path_factory.mktemp("spool") / "1.lp"
    path.write_bytes(HEADING + FIRST + SECOND[:left])

    (record,) = read_all(path)

    assert (record.start, record.is_whole) == (len(HEADING), True)
    assert [one.readings for one in records(path)] == [1]


@given(st.integers(0, len(SECOND) - 1), st.integers(1, 255))
def test_a_record_with_a_byte_changed_is_told_apart_and_the_others_come_back(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    path = tmp_path_factory.mktemp("spool") / "1.lp"
    damaged = bytearray(SECOND)
    damaged[place] ^= change
    path.write_bytes(HEADING + FIRST + damaged + THIRD + FIRST)

    found = read_all(path)

    assert b"".join(path.read_bytes()[one.start : one.end] for one in found) == (
        FIRST + damaged + THIRD + FIRST
    )
    whole = [one for one in found if one.is_whole]
    assert whole[0].lines == FIRST.split(b"\n", 1)[1]
    assert whole[-1].lines == FIRST.split(b"\n", 1)[1]
    assert len(found) > len(whole) or SECOND.split(b"\n", 1)[1] in damaged


@pytest.mark.parametrize("end", [b"\0" * 500, b"x" * 500, b"nonsense\n"])
def test_an_end_that_no_crash_can_have_cut_short_is_not_passed_over(
    tmp_path: Path, end: bytes
) -> None:
    path = tmp_path / "1.lp"
    path.write_bytes(HEADING + FIRST + end)

    first, rest = read_all(path)

    assert first.is_whole
    assert (rest.lines, rest.readings, rest.is_whole) == (end, 0, False)


def test_a_text_that_looks_like_a_record_is_none(tmp_path: Path) -> None:
    lines = b'm,device=a,site=s a="x\n' + FIRST + b'" 1\n'
    path = tmp_path / "1.lp"
    path.write_bytes(HEADING + encode_record(lines, (0, 1, 0)) + SECOND)

    assert [one.lines for one in read_all(path)] == [lines, SECOND.split(b"\n", 1)[1]]


def test_influx_takes_a_segment_as_it_is() -> None:
    """All that is no reading is a comment, and each line ends with one newline."""
    text = (HEADING + FIRST + SECOND).decode()
    assert text.endswith("\n")

    points = [one for one in parse_lines(text) if isinstance(one, Point)]
    assert [one.time for one in points] == [1, 2, 3]
    assert len(list(parse_lines(text))) == 3
