import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import MultiDict

from api.parameters import (
    MAX_TEXT,
    DeviceReadingsParameters,
    DevicesParameters,
    FieldNames,
    ReadingsParameters,
    at_most,
    read_parameters,
)
from api.problems import BadParameter
from api.times import Duration, Moment


def test_a_full_question_is_read_into_its_types() -> None:
    given = {
        "site": "hall",
        "measurement": "weather",
        "fields": "temperature,wind.speed",
        "start": "-2h",
        "stop": "now",
        "every": "30s",
        "aggregate": "max",
        "limit": "17",
        "order": "asc",
    }
    assert read_parameters(ReadingsParameters, MultiDict(given)) == ReadingsParameters(
        site="hall",
        measurement="weather",
        fields=FieldNames(("temperature", "wind.speed")),
        start=Moment(-7_200_000, relative=True),
        stop=Moment(0, relative=True),
        every=Duration(30_000),
        aggregate="max",
        limit=17,
        order="asc",
    )


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("start", "yesterday", "RFC 3339"),
        ("stop", "12:00", "RFC 3339"),
        ("every", "10", "a number and a unit"),
        ("every", "0s", "a number and a unit"),
        ("aggregate", "median", "mean, min, max"),
        ("order", "up", "asc, desc"),
        ("limit", "0", "a whole number"),
        ("limit", "-5", "a whole number"),
        ("limit", "1.5", "a whole number"),
        ("measurement", "a b", "1 to 64 of"),
        ("measurement", "x" * 65, "1 to 64 of"),
        ("measurement", "a\n", "1 to 64 of"),
        ("fields", "", "separated by commas"),
        ("fields", "a,,b", "separated by commas"),
        ("fields", ",".join(["a"] * 65), "separated by commas"),
    ],
)
def test_a_bad_parameter_is_refused_by_name_and_told_what_is_allowed(
    name: str, text: str, allowed: str
) -> None:
    with pytest.raises(BadParameter, match=allowed) as refused:
        read_parameters(DeviceReadingsParameters, MultiDict({name: text}))
    assert refused.value.parameter == name


def test_an_unknown_parameter_is_refused_by_name() -> None:
    with pytest.raises(BadParameter, match="known: site, state, prefix, limit") as refused:
        read_parameters(DevicesParameters, MultiDict({"sites": "hall"}))
    assert refused.value.parameter == "sites"


def test_a_parameter_given_twice_is_refused() -> None:
    with pytest.raises(BadParameter, match="given 2 times"):
        read_parameters(DevicesParameters, MultiDict([("site", "a"), ("site", "b")]))


def test_a_very_long_value_is_refused_unread() -> None:
    with pytest.raises(BadParameter, match="longer than"):
        read_parameters(DevicesParameters, MultiDict({"site": "a" * (MAX_TEXT + 1)}))


def test_a_limit_beyond_the_settings_is_refused() -> None:
    assert at_most("limit", 10, 10) == 10
    with pytest.raises(BadParameter, match="at most 10"):
        at_most("limit", 11, 10)


@given(
    st.sampled_from(DeviceReadingsParameters.__struct_fields__),
    st.one_of(st.text(max_size=40), st.from_regex(r"[-0-9a-z:TZ.+]{0,30}")),
)
def test_any_text_is_either_read_or_refused_by_name(name: str, text: str) -> None:
    refused: list[str | None] = []
    try:
        read_parameters(DeviceReadingsParameters, MultiDict({name: text}))
    except BadParameter as problem:
        refused.append(problem.parameter)
    assert refused in ([], [name])
