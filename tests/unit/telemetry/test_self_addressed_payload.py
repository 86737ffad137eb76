"""Payloads that carry their own address: it is held to the rule, and what lacks it falls."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.lineprotocol import NS_PER_MS, format_line
from telemetry.payload import Decoded, PayloadError, decode
from telemetry.payload.native import encode_native
from telemetry.reading import Address, Reading
from tests.strategies import readings

OWN = {"site": "hall", "device": "d-1", "measurement": "weather"}
ADDRESS = Address(**OWN)


def decoded(payload: object, address: Address | None = None) -> Decoded:
    data = payload if isinstance(payload, bytes) else msgspec.json.encode(payload)
    return decode(data, address, arrival_ms=1_700_000_000_000)


def self_addressed(reading: Reading) -> bytes:
    own = {"site": reading.site, "device": reading.device, "measurement": reading.measurement}
    return encode_native(reading)[:-1] + b"," + msgspec.json.encode(own)[1:]


def in_one_series(several: list[Reading]) -> list[Reading]:
    return [msgspec.structs.replace(one, **OWN) for one in several]


@given(st.lists(readings(), min_size=1, max_size=5))
def test_readings_of_several_devices_come_back_from_one_array(several: list[Reading]) -> None:
    pack = b"[" + b",".join(map(self_addressed, several)) + b"]"

    assert decoded(pack) == Decoded(several, [])
    assert decoded(self_addressed(several[0])) == Decoded(several[:1], [])


@given(st.lists(readings(), min_size=1, max_size=5))
def test_an_addressed_pack_names_its_address_once_for_all(several: list[Reading]) -> None:
    several = in_one_series(several)
    head = msgspec.json.encode(OWN)[:-1]
    pack = head + b',"readings":[' + b",".join(map(encode_native, several)) + b"]}"

    assert decoded(pack) == Decoded(several, [])
    assert decoded(pack, ADDRESS) == Decoded(several, [])


@given(st.lists(readings(), min_size=1, max_size=5))
def test_lines_name_their_address_by_measurement_and_tags(several: list[Reading]) -> None:
    lines = [
        f"{format_line(one).removesuffix(str(one.time_ms))}{one.time_ms * NS_PER_MS}\n"
        for one in several
    ]
    got = decode("".join(lines).encode(), None, arrival_ms=0, template_format="line")

    assert got == Decoded(several, [])


def test_a_flat_object_may_name_its_address_too() -> None:
    (reading,) = decoded({**OWN, "ts": 5, "temperature": 21}).readings

    assert reading == Reading("hall", "d-1", "weather", 5, {"temperature": 21.0})


def test_of_an_array_each_reading_stands_or_falls_for_itself() -> None:
    reading = {"ts": 1, "values": {"a": 1}}
    got = decoded([
        {**reading, **OWN},
        reading,
        {**reading, **OWN, "device": "a b"},
        {**reading, "site": "hall", "device": "d-1"},
        {**reading, **OWN, "ts": 2},
    ])  # fmt: skip

    assert [one.time_ms for one in got.readings] == [1, 2]
    assert got.places_of_readings() == [0, 4]
    assert [(one.index, one.reason.split(":")[0]) for one in got.rejected] == [
        (1, "names no site"),
        (2, "device 'a b' is not a name"),
        (3, "names no measurement"),
    ]


def test_of_an_addressed_pack_each_reading_stands_or_falls_for_itself() -> None:
    parts = [
        {"ts": 1, "values": {"a": 1}},
        {"ts": 1.5, "values": {"a": 1}},
        {"ts": 3, "values": {"a b": 1}},
        5,
        {"ts": 4, "values": {"a": {"b": None, "c": 2}}},
        {"ts": 5, "values": {"a": 1}, "device": "d-2"},
        {"ts": 6, "values": {"a": 1}, "device": "d-1"},
    ]
    got = decoded({**OWN, "readings": parts})

    assert [one.time_ms for one in got.readings] == [1, 4, 6]
    assert got.left_out == 1
    assert [one.index for one in got.rejected] == [1, 2, 3, 5]
    assert got.places_of_readings() == [0, 4, 6]


def test_a_reading_may_have_a_field_named_readings() -> None:
    got = decoded({**OWN, "ts": 1, "values": {"readings": 7}})
    beside = decoded({**OWN, "ts": 1, "values": {"a": 1, "b": None}, "readings": []})

    assert got.readings[0].values == {"readings": 7.0}
    assert beside.readings[0].values == {"a": 1.0}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({"ts": 1, "values": {"a": 1}}, "names no site"),
        ({**OWN, "device": "", "ts": 1, "values": {"a": 1}}, "device '' is not a name"),
        ({**OWN, "site": 5, "ts": 1, "values": {"a": 1}}, "site"),
        ({"readings": [{"ts": 1, "values": {"a": 1}}]}, "names no site"),
        ({**OWN, "site": "a/b", "readings": [{"ts": 1, "values": {"a": 1}}]}, "site 'a/b'"),
        ({**OWN, "readings": []}, "0 values"),
        ({**OWN, "readings": {"ts": 1, "values": {"a": 1}}}, "array"),
        ({"temperature": 1}, "names no site"),
        (b"weather,site=hall a=1", "names no device"),
        (b"weather,site=hall,device=-x a=1", "device '-x' is not a name"),
        (b'[{"n": "temperature", "v": 1}]', "names no site"),
    ],
)
def test_what_lacks_an_address_is_rejected_by_what_is_missing(payload: object, reason: str) -> None:
    with pytest.raises(PayloadError, match=reason):
        decoded(payload)


@pytest.mark.parametrize("named", [{"device": "d-2"}, {"site": "x"}, {"measurement": ""}])
def test_an_addressed_pack_must_name_the_address_beside_it(named: dict[str, str]) -> None:
    with pytest.raises(PayloadError, match="is not the address's"):
        decoded({**OWN, **named, "readings": [{"ts": 1, "values": {"a": 1}}]}, ADDRESS)


def test_what_is_said_of_a_long_name_is_short() -> None:
    with pytest.raises(PayloadError) as caught:
        decoded({**OWN, "device": "d" * 60_000, "ts": 1, "values": {"a": 1}})

    assert len(str(caught.value)) < 250
