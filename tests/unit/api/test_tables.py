"""Rows as text: what has texts and what has none are written alike."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from api.tables import Table, csv_parts, ndjson_parts
from telemetry.store import Row
from tests.strategies import names

NUMBERS = st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
TIMES = st.integers(0, 4_000_000_000_000)


@st.composite
def rows(draw: st.DrawFn, values: st.SearchStrategy[object]) -> list[Row]:
    row = st.tuples(
        TIMES,
        names(),
        names(),
        names(),
        st.none() | TIMES,
        st.none() | st.integers(0, 2**63 - 1),
        values,
        values,
    )
    return draw(st.lists(row, min_size=1, max_size=5))


def read(page: list[Row]) -> list[list[str]]:
    text = b"".join(csv_parts(Table(("a", "b"), iter([page])))).decode()
    head, *found = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert head == ["time", "site", "device", "measurement", "boot", "seq", "a", "b"]
    return found


def number(text: str) -> float | bool | None:
    words: dict[str, bool | None] = {"": None, "true": True, "false": False}
    return words[text] if text in words else float(text)


@given(rows(NUMBERS))
def test_numbers_are_read_back_as_they_were(page: list[Row]) -> None:
    found = read(page)
    assert [row[1:4] for row in found] == [[*row[1:4]] for row in page]
    assert [[number(text) for text in row[6:]] for row in found] == [[*row[6:]] for row in page]
    assert [row[5] for row in found] == ["" if row[5] is None else str(row[5]) for row in page]


@given(rows(NUMBERS))
def test_a_page_with_a_text_is_written_as_one_without(page: list[Row]) -> None:
    with_text = [*page, (*page[0][:6], "text", None)]
    several = [[number(text) for text in row[6:]] for row in read(with_text)[:-1]]
    assert several == [[number(text) for text in row[6:]] for row in read(page)]
    assert [row[:6] for row in read(with_text)[:-1]] == [row[:6] for row in read(page)]


@given(rows(TEXTS))
def test_texts_are_read_back_but_for_the_mark_before_a_formula(page: list[Row]) -> None:
    for row, found in zip(page, read(page), strict=True):
        for text, told in zip(row[6:], found[6:], strict=True):
            assert told in (text, f"'{text}")
            assert not told.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@given(rows(st.one_of(NUMBERS, TEXTS)))
def test_a_line_of_json_holds_what_there_is(page: list[Row]) -> None:
    parts = ndjson_parts(Table(("a", "b"), iter([page])))
    lines = b"".join(parts).split(b"\n")[:-1]
    told = [json.loads(line)["values"] for line in lines]
    given_ = [dict(zip("ab", row[6:], strict=True)) for row in page]
    assert told == [
        {name: value for name, value in values.items() if value is not None} for values in given_
    ]
