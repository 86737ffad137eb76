"""Line protocol: whatever goes in comes out the same, and never as a second point."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.lineprotocol import (
    BadLine,
    LineProtocolError,
    Point,
    format_line,
    parse_lines,
    parse_readings,
    parse_series_key,
    series_key,
)
from telemetry.reading import Reading
from tests.strategies import readings

NAMES = st.text(
    st.characters(exclude_categories=("C", "Z"), exclude_characters="\\") | st.sampled_from(",= "),
    min_size=1,
    max_size=20,
).filter(lambda name: name.isprintable() and "\\" not in name and not name.startswith("#"))


def one_point(text: str) -> Point:
    points = list(parse_lines(text))
    assert len(points) == 1, points
    assert isinstance(points[0], Point), points
    return points[0]


@given(readings())
def test_a_reading_comes_back_as_it_was_written(reading: Reading) -> None:
    point = one_point(format_line(reading))

    expected = dict(reading.values)
    if reading.boot_ms is not None:
        expected["boot"] = reading.boot_ms
    if reading.seq is not None:
        expected["seq"] = reading.seq
    assert point.measurement == reading.measurement
    assert point.tags == {"device": reading.device, "site": reading.site}
    assert point.fields == expected
    assert point.time == reading.time_ms


@given(st.lists(readings(), min_size=1, max_size=5))
def test_as_many_points_come_out_as_readings_went_in(several: list[Reading]) -> None:
    text = "\n".join(format_line(reading) for reading in several)

    assert len([point for point in parse_lines(text) if isinstance(point, Point)]) == len(several)


@given(NAMES, NAMES, NAMES, NAMES)
def test_any_printable_name_survives(measurement: str, device: str, site: str, field: str) -> None:
    point = one_point(format_line(Reading(site, device, measurement, 1, {field: 1.5})))

    assert point == Point(measurement, {"device": device, "site": site}, {field: 1.5}, 1)


@given(st.text())
def test_any_text_survives_as_a_value(text: str) -> None:
    point = one_point(format_line(Reading("s", "d", "m", 1, {"note": text, "after": 2.0})))

    assert point.fields == {"note": text, "after": 2.0}


@given(st.text(max_size=200))
def test_any_text_at_all_is_read_without_an_error(text: str) -> None:
    for point in parse_lines(text):
        assert isinstance(point, Point | BadLine)


@given(NAMES, NAMES, NAMES)
def test_a_series_is_read_from_how_its_lines_begin(
    measurement: str, device: str, site: str
) -> None:
    key = series_key(measurement, device, site)

    assert parse_series_key(key) == (measurement, {"device": device, "site": site})


@pytest.mark.parametrize("name", ["", "a\nb", "a\\", "a\x00", "a\ud800"])
def test_a_name_that_would_break_the_line_is_refused(name: str) -> None:
    with pytest.raises(LineProtocolError):
        format_line(Reading("s", name, "m", 1, {"a": 1.0}))


def test_a_measurement_that_would_make_the_line_a_comment_is_refused() -> None:
    with pytest.raises(LineProtocolError):
        format_line(Reading("s", "d", "#m", 1, {"a": 1.0}))


def test_a_text_that_utf_8_cannot_carry_is_refused() -> None:
    with pytest.raises(LineProtocolError):
        format_line(Reading("s", "d", "m", 1, {"a": "\ud800"}))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_refused(value: float) -> None:
    with pytest.raises(LineProtocolError):
        format_line(Reading("s", "d", "m", 1, {"a": value}))


@pytest.mark.parametrize(
    "line",
    ["m", "m ", "m a", "m a=", "m a=nan", "m a=inf", "m a=1_0", "m a=1e400", ",a=b c=1", "m a=1 x"],
)
def test_a_malformed_line_is_named_and_the_next_is_read(line: str) -> None:
    first, second = parse_lines(f"{line}\nm a=1 5")

    assert isinstance(first, BadLine)
    assert second == Point("m", {}, {"a": 1.0}, 5)


def test_integers_booleans_and_missing_times_are_told_apart() -> None:
    point = one_point("m,t=x i=5i,u=7u,b=T,f=5")

    assert point == Point("m", {"t": "x"}, {"i": 5, "u": 7, "b": True, "f": 5.0}, None)
    assert [type(value) for value in point.fields.values()] == [int, int, bool, float]


def test_comments_and_empty_lines_are_passed_over() -> None:
    assert list(parse_lines("# a comment\n\n  \nm a=1\n")) == [Point("m", {}, {"a": 1.0}, None)]


@given(st.lists(readings(), max_size=5))
def test_readings_that_were_written_as_lines_come_back_the_same(written: list[Reading]) -> None:
    text = "".join(f"{format_line(reading)}\n" for reading in written)

    read = parse_readings(text)

    assert read == written
    assert repr(read) == repr(written)  # tells 1.0 from 1, and 0.0 from -0.0


@pytest.mark.parametrize(
    "line", ["m a=1 1", "m,device=d,site=s a=1", 'm,device=d,site=s a="x', "x"]
)
def test_a_line_that_is_no_reading_of_ours_is_an_error(line: str) -> None:
    with pytest.raises(LineProtocolError):
        parse_readings(f"{line}\n")
