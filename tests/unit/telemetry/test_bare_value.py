"""Bare values: one field, named by the topic."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.payload import Decoded, PayloadError, decode
from telemetry.reading import Reading, Value
from telemetry.topics import TopicRouter, parse_templates

TEMPLATES = (
    "shellies/{device}/sensor/{field} site=home measurement=shelly format=value;"
    "shellies/{device}/relay/0 site=home measurement=shelly field=relay format=value"
)


def decoded(topic: str, payload: bytes) -> Decoded:
    route = TopicRouter(parse_templates(TEMPLATES)).route(topic)
    return decode(
        payload,
        route.address,
        arrival_ms=5,
        content_type="application/json",
        template_format=route.format,
        field=route.field,
    )


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"21.38", 21.38),
        (b" -3\n", -3.0),
        (b"true", True),
        (b'"open"', "open"),
        (b"on", "on"),
        (b"overpower\n", "overpower"),
        ("22 °C".encode(), "22 °C"),
    ],
)
def test_a_bare_value_is_of_the_field_that_the_topic_names(payload: bytes, value: Value) -> None:
    own = Reading("home", "ht-1", "shelly", 5, {"temperature": value})

    assert decoded("shellies/ht-1/sensor/temperature", payload) == Decoded([own], [])


def test_a_template_may_fix_the_field() -> None:
    assert decoded("shellies/plug-1/relay/0", b"on").readings[0].values == {"relay": "on"}


@pytest.mark.parametrize(
    "payload",
    [b"", b" ", b"nan", b"NaN", b"-Infinity", b"1e400", b"null", b"[1]", b'{"a": 1}', b"{", b"[",
     b"\xff", b"x" * 2000],
)  # fmt: skip
def test_what_is_no_bare_value_is_refused_with_a_reason(payload: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        decoded("shellies/ht-1/sensor/temperature", payload)

    assert str(caught.value)


@pytest.mark.parametrize("field", ["time", "a b", "", "é"])
def test_a_topic_with_a_bad_field_is_refused(field: str) -> None:
    with pytest.raises(PayloadError, match="a field's name breaks the rule"):
        decoded(f"shellies/ht-1/sensor/{field}", b"1")


@given(st.binary(max_size=50))
def test_any_bytes_at_all_become_a_value_or_a_reason(payload: bytes) -> None:
    with suppress(PayloadError):
        assert decoded("shellies/ht-1/sensor/temperature", payload).readings
