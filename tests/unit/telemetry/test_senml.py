"""SenML after RFC 8428: records of one time become one reading, in JSON and in XML alike."""

from contextlib import suppress
from typing import Any
from xml.sax.saxutils import quoteattr

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.payload import Decoded, PayloadError, decode
from telemetry.reading import Address, Reading, Value
from tests.strategies import field_names

ADDRESS = Address("hall", "d-1", "weather")
ARRIVAL_MS = 1_800_000_000_000
SENML = "urn:ietf:params:xml:ns:senml"


def as_json(records: list[dict[str, Any]]) -> bytes:
    return msgspec.json.encode(records)


def as_xml(records: list[dict[str, Any]]) -> bytes:
    lines = [
        "<senml "
        + " ".join(
            f"{label}={quoteattr(str(value).lower() if isinstance(value, bool) else str(value))}"
            for label, value in record.items()
        )
        + "/>"
        for record in records
    ]
    return f'<?xml version="1.0"?>\n<sensml xmlns="{SENML}">{"".join(lines)}</sensml>'.encode()


def decoded(payload: bytes) -> Decoded:
    return decode(payload, ADDRESS, arrival_ms=ARRIVAL_MS)


@pytest.fixture(params=[as_json, as_xml])
def senml(request: pytest.FixtureRequest) -> Any:
    return lambda *records: decoded(request.param(list(records)))


def reading(time_ms: int, values: dict[str, Value]) -> Reading:
    return Reading("hall", "d-1", "weather", time_ms, values)


@given(
    st.dictionaries(
        st.integers(2**28 * 1000, 4_102_444_800_000),
        st.dictionaries(
            field_names().filter(lambda name: ":" not in name),
            st.one_of(
                st.floats(allow_nan=False, allow_infinity=False),
                st.booleans(),
                st.text(st.characters(min_codepoint=32, exclude_categories=["Cs"]), max_size=20),
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_readings_written_as_records_come_back(times: dict[int, dict[str, Value]]) -> None:
    labels = {float: "v", bool: "vb", str: "vs"}
    records: list[dict[str, Any]] = [{"bn": "urn:dev:1:"}]
    for time_ms, values in times.items():
        for name, value in values.items():
            records.append({"n": name, "t": time_ms / 1000, labels[type(value)]: value})
    expected = [reading(time_ms, values) for time_ms, values in times.items()]

    assert decoded(as_json(records)).readings == expected
    if all("\ufffe" not in str(one) and "\uffff" not in str(one) for one in records):
        assert decoded(as_xml(records)).readings == expected


@given(st.binary(max_size=100), st.sampled_from(["senml", "senml-xml"]))
def test_any_bytes_at_all_become_readings_or_a_reason(payload: bytes, format: Any) -> None:
    with suppress(PayloadError):
        got = decode(payload, ADDRESS, arrival_ms=0, template_format=format)
        assert got.readings or got.rejected


def test_base_fields_hold_until_the_next_one(senml: Any) -> None:
    got = senml(
        {"bn": "urn:dev:ow:10e2:", "bt": 1.7e9, "bu": "A", "bver": 10},
        {"n": "voltage", "u": "V", "v": 120.1},
        {"n": "current", "t": -5, "v": 1.2},
        {"n": "current", "t": -4, "v": 1.3},
        {"bn": "urn:dev:ow:20f3/", "bt": 1.8e9, "n": "humidity", "v": 40},
    )

    assert got.readings == [
        reading(1_700_000_000_000, {"voltage": 120.1}),
        reading(1_699_999_995_000, {"current": 1.2}),
        reading(1_699_999_996_000, {"current": 1.3}),
        reading(1_800_000_000_000, {"humidity": 40.0}),
    ]
    assert got.places_of_readings() == [1, 2, 3, 4]


def test_records_of_one_time_form_one_reading_wherever_they_stand(senml: Any) -> None:
    got = senml(
        {"bt": 1.7e9, "n": "a", "v": 1},
        {"n": "b", "t": 1, "v": 2},
        {"n": "ok", "vb": True},
        {"n": "note", "vs": "fine"},
    )

    assert got.readings == [
        reading(1_700_000_000_000, {"a": 1.0, "ok": True, "note": "fine"}),
        reading(1_700_000_001_000, {"b": 2.0}),
    ]


@pytest.mark.parametrize(
    ("seconds", "time_ms"),
    [
        (0, ARRIVAL_MS),
        (-1.5, ARRIVAL_MS - 1500),
        (2**28 - 1, ARRIVAL_MS + (2**28 - 1) * 1000),
        (2**28, 2**28 * 1000),
        (1_700_000_000.123, 1_700_000_000_123),
    ],
)
def test_a_time_below_2_to_the_28th_is_relative_to_now(
    senml: Any, seconds: float, time_ms: int
) -> None:
    assert senml({"n": "a", "t": seconds, "v": 1}).readings[0].time_ms == time_ms
    assert senml({"n": "a", "bt": seconds, "v": 1}).readings[0].time_ms == time_ms


def test_a_record_without_a_time_is_of_now(senml: Any) -> None:
    assert senml({"n": "a", "v": 1}).readings[0].time_ms == ARRIVAL_MS


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("urn:dev:ow:10e2073a01080063", "10e2073a01080063"),
        ("urn:dev:mac:0024be/temperature", "temperature"),
        ("battery.volts", "battery.volts"),
        ("3303/0/5700", "5700"),
    ],
)
def test_a_field_is_called_as_the_last_part_of_the_resolved_name(
    senml: Any, name: str, field: str
) -> None:
    assert senml({"n": name, "v": 1}).readings[0].values == {field: 1.0}
    assert senml({"bn": name, "v": 1}).readings[0].values == {field: 1.0}


def test_base_value_and_base_sum_are_added_to_what_a_record_says(senml: Any) -> None:
    got = senml(
        {"bv": 100, "n": "a", "v": 1},
        {"n": "b"},
        {"n": "c", "vs": "x"},
        {"bv": 0, "bs": 10, "n": "d", "v": 1, "s": 5},
        {"n": "e", "s": 6},
        {"n": "f", "v": 2},
    )

    assert got.readings[0].values == {
        "a": 101.0,
        "b": 100.0,
        "c": "x",
        "d": 1.0,
        "d.integral": 15.0,
        "e.integral": 16.0,
        "f": 2.0,
        "f.integral": 10.0,
    }


def test_a_bad_record_falls_alone_with_its_place(senml: Any) -> None:
    got = senml(
        {"n": "a", "v": 1},
        {"n": "b", "v": "warm"},
        {"n": "image", "vd": "aGk"},
        {"n": "time", "v": 1},
        {"n": "dir/", "v": 1},
        {"n": "c"},
        {"n": "a", "v": 2},
        {"n": "d", "v": 1, "vs": "x"},
        {"n": "e", "t": -1e300, "v": 1},
        {"v": 1},
        {"n": "f", "vb": "maybe"},
        {"n": "z", "v": 2},
    )

    assert got.readings == [reading(ARRIVAL_MS, {"a": 1.0, "z": 2.0})]
    assert [one.index for one in got.rejected] == list(range(1, 11))
    reasons = {one.index: one.reason for one in got.rejected}
    assert reasons[2] == "data (vd) cannot be stored"
    assert reasons[5] == "has no value"
    assert reasons[6] == "two values for a at one time"
    assert reasons[7] == "has v and vs: one value is allowed"
    assert reasons[9] == "has no name"


def test_a_reading_of_too_many_fields_falls_alone(senml: Any) -> None:
    many = [{"n": f"f{number}", "t": 1, "v": 1} for number in range(257)]
    got = senml({"n": "a", "v": 1}, *many)

    assert got.readings == [reading(ARRIVAL_MS, {"a": 1.0})]
    assert [one.index for one in got.rejected] == [1]


@pytest.mark.parametrize(
    "record",
    [
        {"bt": "soon", "n": "a", "v": 1},
        {"bver": 11, "n": "a", "v": 1},
        {"bver": "x", "n": "a", "v": 1},
        {"bv": "x", "n": "a"},
        {"bs": "x", "n": "a"},
        {"n": "a", "v": 1, "extension_": 1},
    ],
)
def test_what_all_later_records_hang_on_is_not_guessed(senml: Any, record: dict[str, Any]) -> None:
    with pytest.raises(PayloadError, match="record 1: "):
        senml({"n": "z", "v": 1}, record)


def test_unknown_labels_are_passed_over(senml: Any) -> None:
    assert senml({"n": "a", "v": 1, "ut": 60, "color": "red"}).readings[0].values == {"a": 1.0}


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b'[{"bn": "x"}]',
        b'[{"n": "a", "v": 1}, 5]',
        b'[{"n": "a", "v": NaN}]',
        b'[{"n": "a", "v": 1e400}]',
        b'[{"n": "a", "v": 1}',
        b'[{"bn": 5, "n": "a", "v": 1}]',
        b'[{"bt": null, "n": "a", "v": 1}]',
        b'[{"n": "a", "v": 1, "x": ' + b"[" * 50_000,
        f'<sensml xmlns="{SENML}"/>'.encode(),
        f'<sensml xmlns="{SENML}"><senml bn="x"/></sensml>'.encode(),
        b"<sensml><senml n='a' v='1'/></sensml>",
        f'<sensml xmlns="{SENML}"><senml n="a" v="1"><b/></senml></sensml>'.encode(),
        f'<sensml xmlns="{SENML}"><x n="a" v="1"/></sensml>'.encode(),
        f'<senml xmlns="{SENML}" n="a" v="1"/>'.encode(),
        f'<sensml xmlns="{SENML}"><senml n="a" v="1"/>'.encode(),
        f'<sensml xmlns="{SENML}"><senml n="a" v="&undefined;"/></sensml>'.encode(),
        f'<sensml xmlns="{SENML}"><senml n="a" v="1"/></sensml>'.encode("utf-16"),
        b"<" * 60_000,
        b"<a>" * 20_000,
        b"<\xff\xfe",
    ],
)
def test_what_is_no_senml_is_refused_whole(payload: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        decode(
            payload,
            ADDRESS,
            arrival_ms=0,
            template_format="senml-xml" if payload[:1] == b"<" else "senml",
        )

    assert 0 < len(str(caught.value)) < 300


@pytest.mark.parametrize("number", ["1" + "0" * 400, "-1" + "0" * 400])
def test_a_number_that_no_float_holds_falls_alone(number: str) -> None:
    got = decoded(f'[{{"n": "a", "v": {number}}}, {{"n": "b", "v": 1}}]'.encode())

    assert got.readings == [reading(ARRIVAL_MS, {"b": 1.0})]
    assert [one.index for one in got.rejected] == [0]


@pytest.mark.parametrize(
    "number", ["nan", "INF", "-inf", "1e400", "1_000", "٣", "0x1p3", "", "1 2"]
)
def test_in_xml_a_number_is_one_that_can_be_stored(number: str) -> None:
    got = decoded(as_xml([{"n": "a", "v": number}, {"n": "b", "v": " 2.5e-1 "}]))

    assert got.readings == [reading(ARRIVAL_MS, {"b": 0.25})]
    assert [one.reason for one in got.rejected] == ["v is not a number that can be stored"]


def laughs() -> str:
    """Return ten entities of which each is ten of the one before."""
    declared = "".join(
        f'<!ENTITY e{number} "{f"&e{number - 1};" * 10}">' for number in range(1, 10)
    )
    return (
        f'<!DOCTYPE x [<!ENTITY e0 "ha">{declared}]>'
        f'<sensml xmlns="{SENML}"><senml n="a" vs="&e9;"/></sensml>'
    )


@pytest.mark.parametrize(
    "document",
    [
        laughs(),
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 50_000}">]>'
        f'<sensml xmlns="{SENML}"><senml n="a" vs="{"&a;" * 1000}"/></sensml>',
        f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        f'<sensml xmlns="{SENML}"><senml n="a" vs="&a;"/></sensml>',
        f'<!DOCTYPE sensml SYSTEM "http://127.0.0.1:1/x.dtd"><sensml xmlns="{SENML}"/>',
        f'<!DOCTYPE x [<!ENTITY % p SYSTEM "http://127.0.0.1:1/x"> %p;]><sensml xmlns="{SENML}"/>',
        f'<!DOCTYPE sensml><sensml xmlns="{SENML}"><senml n="a" v="1"/></sensml>',
    ],
)
def test_a_document_type_is_refused_before_any_entity_is_looked_at(document: str) -> None:
    with pytest.raises(PayloadError, match="a document type is not allowed"):
        decoded(document.encode())


def test_the_content_type_decides_whatever_its_parameters() -> None:
    payload = as_json([{"n": "values", "v": 1}])
    for content_type in ("application/senml+json", "Application/SenML+JSON; charset=utf-8"):
        got = decode(payload, ADDRESS, arrival_ms=0, content_type=content_type)
        assert got.readings[0].values == {"values": 1.0}
    xml = decode(
        b"\n" + as_xml([{"n": "a", "v": 1}])[22:],
        ADDRESS,
        arrival_ms=0,
        content_type="application/senml+xml",
    )
    assert xml.readings[0].values == {"a": 1.0}


def test_a_pack_of_values_is_native_and_one_of_names_senml() -> None:
    native = decoded(b'[{"ts": 1, "values": {"n": 1}}]')
    senml = decoded(b'[{"bn": "x:"}, {"n": "a", "v": 1}]')

    assert native.readings == [reading(1, {"n": 1.0})]
    assert senml.readings == [reading(ARRIVAL_MS, {"a": 1.0})]
