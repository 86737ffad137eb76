"""Payloads: what is valid comes back the same, what is not is rejected with a reason."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.lineprotocol import NS_PER_MS, format_line
from telemetry.payload import Decoded, PayloadError, decode
from telemetry.payload.native import encode_native
from telemetry.reading import Address, Reading
from tests.strategies import readings

ADDRESS = Address("jakarta", "node-1", "weather")
ARRIVAL_MS = 1_700_000_000_000


def decoded(payload: bytes | str, content_type: str | None = None) -> Decoded:
    data = payload.encode() if isinstance(payload, str) else payload
    return decode(data, ADDRESS, arrival_ms=ARRIVAL_MS, content_type=content_type)


def only_values(payload: str) -> dict[str, object]:
    (reading,) = decoded(payload).readings
    return dict(reading.values)


def address_of(reading: Reading) -> Address:
    return Address(reading.site, reading.device, reading.measurement)


@given(readings())
def test_a_native_reading_comes_back_as_it_was_sent(reading: Reading) -> None:
    got = decode(encode_native(reading), address_of(reading), arrival_ms=0)

    assert got == Decoded([reading], [], 0)


@given(readings())
def test_a_reading_sent_as_line_protocol_comes_back_as_it_was(reading: Reading) -> None:
    line = format_line(reading).removesuffix(str(reading.time_ms))
    payload = f"{line}{reading.time_ms * NS_PER_MS}".encode()

    got = decode(payload, address_of(reading), arrival_ms=0, template_format="line")

    assert got == Decoded([reading], [], 0)


@given(st.lists(readings(), min_size=1, max_size=5))
def test_a_pack_comes_back_in_its_order(several: list[Reading]) -> None:
    address = address_of(several[0])
    several = [
        msgspec.structs.replace(
            one, site=address.site, device=address.device, measurement=address.measurement
        )
        for one in several
    ]
    pack = b"[" + b",".join(encode_native(reading) for reading in several) + b"]"

    assert decode(pack, address, arrival_ms=0) == Decoded(several, [], 0)


@given(st.binary(max_size=100))
def test_any_bytes_at_all_become_readings_or_a_reason(payload: bytes) -> None:
    with suppress(PayloadError):
        got = decode(payload, ADDRESS, arrival_ms=ARRIVAL_MS)
        assert got.readings or got.rejected


def test_a_flat_object_without_a_time_is_stamped_with_its_arrival() -> None:
    (reading,) = decoded('{"temperature": 21, "ok": true, "note": "x"}').readings

    assert reading.time_ms == ARRIVAL_MS
    assert reading.values == {"temperature": 21.0, "ok": True, "note": "x"}
    assert isinstance(reading.values["temperature"], float)


def test_a_flat_object_may_carry_time_boot_and_sequence() -> None:
    (reading,) = decoded('{"ts": 5, "boot": 3, "seq": 7, "a": 1}').readings

    assert (reading.time_ms, reading.boot_ms, reading.seq) == (5, 3, 7)
    assert reading.values == {"a": 1.0}


def test_nested_objects_become_dotted_fields_and_nulls_and_arrays_are_counted() -> None:
    got = decoded('{"battery": {"volts": 3.1, "cell": {"a": 1}}, "x": null, "y": [1]}')

    assert got.readings[0].values == {"battery.volts": 3.1, "battery.cell.a": 1.0}
    assert got.left_out == 2


def test_nulls_in_native_values_are_left_out_and_counted() -> None:
    got = decoded('{"ts": 1, "values": {"a": 1, "b": null}}')

    assert got.readings[0].values == {"a": 1.0}
    assert got.left_out == 1


def test_of_a_pack_the_good_readings_stand_and_the_bad_ones_are_named_by_their_place() -> None:
    got = decoded('[{"ts": 1, "values": {"a": 1}}, {"ts": "x", "values": {"a": 1}}, 5]')

    assert [reading.time_ms for reading in got.readings] == [1]
    assert [rejected.index for rejected in got.rejected] == [1, 2]
    assert all(rejected.reason for rejected in got.rejected)


def test_other_tags_of_a_line_become_text_fields() -> None:
    got = decoded("weather,device=node-1,host=h1 a=1i,ok=t,seq=4i,boot=3i 5000000")

    assert got.readings == [
        Reading("jakarta", "node-1", "weather", 5, {"a": 1.0, "ok": True, "host": "h1"}, 3, 4)
    ]


def test_of_several_lines_the_bad_one_is_named_by_its_place() -> None:
    got = decoded("weather a=1 1000000\nnonsense\nweather a=2 2000000")

    assert [reading.time_ms for reading in got.readings] == [1, 2]
    assert [rejected.index for rejected in got.rejected] == [1]


@pytest.mark.parametrize(
    "payload",
    [
        '{"ts": 1, "values": {"a": 1}, "device": "node-2"}',
        '{"a": 1, "device": "node-2"}',
        "weather,device=node-2 a=1",
        "storm a=1",
    ],
)
def test_a_payload_that_names_another_origin_is_rejected(payload: str) -> None:
    with pytest.raises(PayloadError, match="is not the address's"):
        decoded(payload)


def test_a_payload_that_names_its_own_device_is_taken() -> None:
    assert only_values('{"ts": 1, "values": {"a": 1}, "device": "node-1"}') == {"a": 1.0}
    assert only_values('{"a": 1, "device": "node-1"}') == {"a": 1.0}


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"   ",
        b"\xff\xfe",
        b"{bad",
        b"[]",
        b"5",
        b'{"ts": 1, "values": {}}',
        b'{"ts": 1, "values": {"a": null}}',
        b'{"ts": -1, "values": {"a": 1}}',
        b'{"ts": 1.5, "values": {"a": 1}}',
        b'{"ts": 1, "values": {"a": 1e400}}',
        b'{"ts": 1, "values": {"a": NaN}}',
        b'{"ts": 1, "values": {"a": Infinity}}',
        b'{"ts": 1, "values": {"time": 1}}',
        b'{"ts": 1, "values": {"a b": 1}}',
        b'{"ts": 1, "values": {"a\\n": 1}}',
        b'{"ts": 1, "values": {"a": 1}, "seq": -1}',
        b'{"ts": 1, "values": {"a": 1}, "seq": 9223372036854775808}',
        b'{"ts": 1, "values": {"a": "\xff"}}',
        b'{"ts": 1, "values": {"a": "\\ud800"}}',
        b'{"a": ' * 20 + b"1" + b"}" * 20,
        b'{"a":' * 20_000,
        b'{"a.b": 1, "a": {"b": 2}}',
        b"weather a=\xff",
    ],
)
def test_what_cannot_be_stored_is_rejected_with_a_reason(payload: bytes) -> None:
    with pytest.raises(PayloadError) as caught:
        decoded(payload)

    assert str(caught.value)
    assert "regex" not in str(caught.value)


@pytest.mark.parametrize(
    ("number", "stored"),
    [("9223372036854775808", 9.223372036854775808e18), ("-0.0", -0.0), ("1e308", 1e308)],
)
def test_a_number_of_any_size_is_a_float(number: str, stored: float) -> None:
    value = only_values(f'{{"ts": 1, "values": {{"a": {number}}}}}')["a"]

    assert repr(value) == repr(stored)


def test_an_object_named_device_is_a_value_as_any_other() -> None:
    assert only_values('{"a": 1, "device": {"model": "x"}}') == {"a": 1.0, "device.model": "x"}


def test_the_content_type_decides_over_the_look_of_a_payload() -> None:
    with pytest.raises(PayloadError, match="not line protocol"):
        decoded('{"a": 1}', "text/vnd.influxdb.line-protocol")


@pytest.mark.parametrize("part", [b"1", b"{}", b'{"ts":1}', b"[]", b'""'])
def test_a_payload_full_of_the_smallest_parts_is_taken_apart(part: bytes) -> None:
    count = 65_536 // (len(part) + 1)
    got = decoded(b"[" + b",".join([part] * count) + b"]")

    assert [one.index for one in got.rejected] == list(range(count))


def test_a_payload_full_of_empty_lines_is_empty() -> None:
    with pytest.raises(PayloadError, match="an empty payload"):
        decoded(b"\n" * 65_536)
