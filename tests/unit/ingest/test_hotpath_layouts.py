"""Payloads of a known layout become lines that say what the decoder says, or are left to it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.hotpath.layouts import Layouts
from ingest.hotpath.quick import QuickReader
from ingest.series import AllSeries
from telemetry.lineprotocol import parse_readings
from telemetry.payload import Decoded, PayloadError, decode
from telemetry.reading import Address, Reading

TOPIC = "telemetry/s/node-1/m"
ADDRESS = Address("s", "node-1", "m")
FOREVER = (0, 2**62)


def long_way(payload: bytes) -> Decoded:
    return decode(payload, ADDRESS, arrival_ms=5)


def new_reader() -> QuickReader:
    every = AllSeries()
    return QuickReader(Layouts(pause_seconds=0), lambda _topic: every.of("s", "node-1", "m"))


def taught(*payloads: bytes) -> QuickReader:
    """Return a reader that has seen these payloads go the long way."""
    quick = new_reader()
    for payload in payloads:
        quick.learn(TOPIC, payload, long_way(payload).readings)
    return quick


def read(quick: QuickReader, payload: bytes) -> list[Reading] | None:
    found = quick.read(TOPIC, payload, *FOREVER)
    return None if found is None else parse_readings(b"\n".join([*found[1], b""]).decode())


def native(seq: int = 0, **values: object) -> dict[str, Any]:
    return {"ts": 1_700_000_000_000 + seq, "values": values, "boot": 1_699_999_000_000, "seq": seq}


SPACED, COMPACT = (", ", ": "), (",", ":")


@pytest.mark.parametrize("spaces", [SPACED, COMPACT], ids=["spaced", "compact"])
@pytest.mark.parametrize(
    ("first", "later"),
    [
        (native(0, a=1.5, b=2), native(1, a=-7, b=0.125)),
        (native(0, on=True, word="x y"), native(1, on=False, word="")),
        ({"ts": 5, "values": {"a": 1.0}}, {"ts": 6, "values": {"a": 2.0}}),
        (
            {"seq": 1, "boot": 2, "values": {"b": 1, "a": 1}, "ts": 5},
            {"seq": 9, "boot": 3, "values": {"b": 2, "a": 3}, "ts": 0},
        ),
        ([native(0, a=1), native(1, a=2)], [native(2, a=3), native(3, a=4), native(4, a=5)]),
    ],
)
def test_what_looks_like_what_came_before_goes_the_quick_way(
    first: object, later: object, spaces: tuple[str, str]
) -> None:
    payload = json.dumps(later, separators=spaces).encode()

    assert (
        read(taught(json.dumps(first, separators=spaces).encode()), payload)
        == long_way(payload).readings
    )


KNOWN = json.dumps(native(0, a=1.5, on=True, word="x"), separators=COMPACT).encode()


@pytest.mark.parametrize(
    "payload",
    [
        KNOWN + b" ",
        KNOWN[:-1],
        KNOWN.replace(b"1.5", b"null"),
        KNOWN.replace(b"1.5", b"01.5"),
        KNOWN.replace(b"1.5", b"1."),
        KNOWN.replace(b"1.5", b"1e5"),
        KNOWN.replace(b"1.5", b"1" * 400),
        KNOWN.replace(b"1.5", b"NaN"),
        KNOWN.replace(b"true", b'"true"'),
        KNOWN.replace(b'"x"', rb'"\n"'),
        KNOWN.replace(b'"x"', b'"\xff"'),
        KNOWN.replace(b"1700000000000", b"9700000000000"),
        KNOWN.replace(b'"seq":0', b'"seq":9223372036854775808'),
        KNOWN.replace(b'"a"', b'"c"'),
        KNOWN.replace(b'"on"', b'"a"'),
        b"[%b" % KNOWN,
        b"[%b,]" % KNOWN,
        b"[%b%b]" % (KNOWN, KNOWN),
        b"[%b[%b]" % (KNOWN, KNOWN),
        b"[%b, %b]" % (KNOWN, KNOWN),
        b"[%b,%b,]" % (KNOWN, KNOWN),
        b"[%b,%b" % (KNOWN, KNOWN),
        b"[%b,%b}" % (KNOWN, KNOWN),
        b"[%b,null,%b]" % (KNOWN, KNOWN),
        b",%b,%b]" % (KNOWN, KNOWN),
        b"[]",
        b"",
    ],
)
def test_what_does_not_look_quite_like_it_is_left_to_the_decoder(payload: bytes) -> None:
    assert read(taught(KNOWN), payload) is None


def test_a_pack_of_several_layouts_is_left_to_the_decoder() -> None:
    other = KNOWN.replace(b'"a"', b'"c"')

    assert read(taught(KNOWN, other), b"[%b,%b]" % (KNOWN, other)) is None


def test_a_device_is_read_by_what_another_one_has_shown() -> None:
    every = AllSeries()
    quick = QuickReader(Layouts(), lambda topic: every.of("s", topic, "m"))
    quick.learn("node-1", KNOWN, decode(KNOWN, Address("s", "node-1", "m"), arrival_ms=5).readings)

    found = quick.read("node-2", KNOWN, *FOREVER)

    assert found is not None
    assert parse_readings(found[1][0].decode() + "\n")[0].device == "node-2"


def test_on_a_topic_of_another_format_nothing_is_read() -> None:
    quick = QuickReader(Layouts(), lambda _topic: None)
    quick.learn(TOPIC, KNOWN, long_way(KNOWN).readings)

    assert quick.read(TOPIC, KNOWN, *FOREVER) is None


def test_times_that_are_not_accepted_are_left_to_the_long_way() -> None:
    quick, time_ms = taught(KNOWN), 1_700_000_000_000

    assert quick.read(TOPIC, KNOWN, time_ms, time_ms) is not None
    assert quick.read(TOPIC, KNOWN, time_ms + 1, time_ms + 2) is None
    assert quick.read(TOPIC, b"[%b]" % KNOWN, 0, time_ms - 1) is None


def test_repeats_are_counted_and_only_of_what_is_taken() -> None:
    quick = taught(KNOWN)
    pack = b"[%b,%b]" % (KNOWN, KNOWN.replace(b'"seq":0', b'"seq":1'))

    assert read(quick, pack.replace(b'"seq":1}', b'"seq":1')) is None
    assert [quick.read(TOPIC, one, *FOREVER)[3] for one in (KNOWN, pack, pack)] == [0, 1, 2]  # type: ignore[index]


def test_a_topic_whose_messages_are_no_native_json_learns_nothing() -> None:
    payload = b'{"ts":5,"values":{"a":1}}'
    flat = decode(payload, ADDRESS, arrival_ms=5, template_format="flat").readings
    quick = new_reader()

    quick.learn(TOPIC, payload, flat)

    assert read(quick, payload) is None


def test_what_never_looks_the_same_does_not_have_layouts_made_without_end() -> None:
    layouts = Layouts()

    made = [layouts.of(b'{"ts":5,"values":{"a%d":1}}' % number) for number in range(50)]

    assert 1 <= sum(one is not None for one in made) < 5


names = st.sampled_from(["a", "b", "c.d", "ts", "values", "x-1"])
numbers = st.one_of(
    st.integers(-(10**18), 10**18),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -0.0, 21.5, 1e15, 1e22, 123456789012345.6]),
)
texts = st.text(max_size=5) | st.sampled_from(["", "ok", 'a"b', "a\\b", "a,b =c", "ü"])
some_values = st.dictionaries(names, numbers | st.booleans() | texts | st.none(), max_size=4)
members = st.fixed_dictionaries(
    {"ts": st.integers(0, 10**13), "values": some_values},
    optional={"boot": st.integers(-1, 10**13), "seq": st.integers(-1, 2**64), "device": texts},
).flatmap(lambda one: st.permutations(sorted(one)).map(lambda order: {k: one[k] for k in order}))


@st.composite
def payloads(draw: st.DrawFn) -> bytes:
    """A reading or a pack, as several encoders write it, now and then with a byte changed."""
    example = draw(members | st.lists(members, max_size=3))
    spaces = draw(st.sampled_from([(",", ":"), (", ", ": "), (",", ": ")]))
    text = json.dumps(example, separators=spaces, ensure_ascii=draw(st.booleans())).encode()
    if draw(st.integers(0, 4)) == 0 and text:
        at = draw(st.integers(0, len(text) - 1))
        text = (
            text[:at] + draw(st.sampled_from([b"", b"0", b"9", b" ", b'"', b"]"])) + text[at + 1 :]
        )
    return text


@given(st.lists(payloads(), min_size=1, max_size=6))
def test_whatever_the_quick_way_takes_is_what_the_decoder_makes_of_it(found: list[bytes]) -> None:
    quick = new_reader()
    for payload in [*found, *found]:
        taken = read(quick, payload)
        try:
            decoded = long_way(payload)
        except (PayloadError, msgspec.DecodeError):
            assert taken is None
            continue
        if taken is not None:
            assert (taken, [], 0) == (decoded.readings, decoded.rejected, decoded.left_out)
        elif decoded.readings and not decoded.rejected and not decoded.left_out:
            quick.learn(TOPIC, payload, decoded.readings)
