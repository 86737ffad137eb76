"""Packs with an address of their own: the quick way makes of them what the long way does."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.grant import EVERYTHING, Grant
from ingest.message import Message, Receipt
from telemetry.lineprotocol import parse_readings
from telemetry.payload import PayloadError, decode
from telemetry.reading import Reading
from tests.ingest_parts import Parts

ARRIVAL_MS = 1_700_000_100_000
RETENTION_MS = 720 * 3_600_000
AHEAD_MS = 5 * 60 * 1000
GRANTS = [None, EVERYTHING, Grant(("d-1",)), Grant(())]
BEGINNINGS = [
    b'{"site":"s","device":"d-1","measurement":"m"',
    b'{"site":"s","device":"d-2","measurement":"m"',
    b'{"measurement":"m","device":"d-1","site":"s"',
    b'{"site": "s", "device": "d-1", "measurement": "m"',
    b'{"site":"s","device":"d-1","measurement":"m","more":[1]',
    b'{"site":"s","device":"d-1"',
    b'{"site":"s","device":"d,1 x","measurement":"m"',
    b'{"site":"s","device":"\xff","measurement":"m"',
    b'{"site":"s","device":"d-\\u0031","measurement":"m"',
]
READINGS = [
    b'{"ts":%d,"values":{"a":%d.5,"b":1},"boot":17,"seq":%d}',
    b'{"ts":%d,"values":{"a":%d,"on":true},"seq":%d,"boot":17}',
    b'{"ts":%d,"values":{"a":%d,"c":null},"boot":17,"seq":%d}',
    b'{"ts":%d,"values":{"a":%d},"device":"d-%d"}',
    b'{"ts":"%d","values":{"a":%d},"seq":%d}',
]
ENDS = [b"]}", b"]}", b"]}", b"]x", b'],"more":1}', b"]} ", b"]", b'],"readings":[]}', b"]]}"]
TIMES_MS = [0, 0, 0, 1_000, RETENTION_MS + 1, -AHEAD_MS - 1]


@st.composite
def payloads(draw: st.DrawFn) -> list[bytes]:
    found = []
    for number in range(draw(st.integers(1, 10))):
        template = draw(st.sampled_from(READINGS))
        readings = [
            draw(st.sampled_from([template, template, *READINGS]))
            % (ARRIVAL_MS - draw(st.sampled_from(TIMES_MS)), number, number * 10 + one)
            for one in range(draw(st.integers(0, 4)))
        ]
        joined = draw(st.sampled_from([b",", b",", b", "])).join(readings)
        beginning, end = draw(st.sampled_from(BEGINNINGS)), draw(st.sampled_from(ENDS))
        found.append(beginning + b',"readings":[' + joined + end)
    return found


def by_the_long_way(
    payload: bytes, grant: Grant | None
) -> tuple[list[Reading], list[tuple[bytes, int | None]]]:
    """Return the readings of a payload, and its places of what is refused, plainly written."""
    try:
        decoded = decode(payload, None, arrival_ms=ARRIVAL_MS)
    except PayloadError:
        return [], [(payload, None)]
    refused: list[tuple[bytes, int | None]] = [(payload, one.index) for one in decoded.rejected]
    places = decoded.places_of_readings() or list(range(len(decoded.readings)))
    kept = []
    for place, reading in zip(places, decoded.readings, strict=True):
        in_time = ARRIVAL_MS - RETENTION_MS <= reading.time_ms <= ARRIVAL_MS + AHEAD_MS
        if in_time and (grant is None or grant.allows(reading.device)):
            kept.append(reading)
        else:
            refused.append((payload, None if places == [0] else place))
    return kept, refused


def taken(parts: Parts) -> tuple[list[Reading], list[tuple[bytes, int | None]]]:
    """Return what an intake has gathered: readings, and what it sends to quarantine."""
    batches = [*parts.intake._closed, parts.intake._open]
    lines = [line for batch in batches for line in batch.lines]
    refused = [(one.record.payload, one.record.index) for one in parts.quarantining._waiting]
    return parse_readings(b"\n".join([*lines, b""]).decode()), refused


@given(payloads(), st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_packs_come_to_what_the_long_way_makes_of_them(
    tmp_path: Path, some: list[bytes], data: st.DataObject
) -> None:
    parts = Parts(tmp_path)
    readings: list[Reading] = []
    refused: list[tuple[bytes, int | None]] = []
    for payload in some:
        grant = data.draw(st.sampled_from(GRANTS))
        receipt = parts.receipts.owe(parts.receipt(1))
        parts.intake.accept(Message(None, payload, 1, ARRIVAL_MS, receipt=receipt, grant=grant))
        expected = by_the_long_way(payload, grant)
        readings += expected[0]
        refused += expected[1]

    assert taken(parts) == (readings, refused)
    assert parts.tally.balance == 0


def accept(parts: Parts, seqs: Sequence[int], *, grant: Grant | None = None) -> None:
    readings = [b'{"ts":%d,"values":{"a":1.5},"boot":17,"seq":%d}' % (ARRIVAL_MS, n) for n in seqs]
    payload = BEGINNINGS[0] + b',"readings":[' + b",".join(readings) + b"]}"
    receipt: Receipt = parts.receipts.owe(parts.receipt(1))
    parts.intake.accept(Message(None, payload, 1, ARRIVAL_MS, receipt=receipt, grant=grant))


def test_the_second_pack_of_a_sender_goes_the_quick_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(tmp_path)
    accept(parts, range(3))

    def never(*_arguments: object, **_more: object) -> None:
        raise AssertionError("the long way")

    monkeypatch.setattr("ingest.intake.decode", never)
    accept(parts, range(3, 50), grant=EVERYTHING)

    readings, refused = taken(parts)
    assert [one.seq for one in readings] == list(range(50))
    assert refused == []


@pytest.mark.parametrize("end", [b"]", b"]x", b"]} ", b"]}}", b'],"readings":[]}'])
def test_a_pack_that_ends_otherwise_goes_the_long_way(tmp_path: Path, end: bytes) -> None:
    parts = Parts(tmp_path)
    accept(parts, range(3))
    reading = b'{"ts":%d,"values":{"a":1.5},"boot":17,"seq":9}' % ARRIVAL_MS
    payload = BEGINNINGS[0] + b',"readings":[' + reading + end
    parts.intake.accept(Message(None, payload, 0, ARRIVAL_MS))

    expected = by_the_long_way(payload, None)
    assert taken(parts) == (taken(parts)[0][:3] + expected[0], expected[1])


def test_what_a_key_does_not_allow_is_no_repeat_when_it_comes_from_who_may(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    accept(parts, [0])
    accept(parts, [1], grant=Grant(("pump-1",)))
    accept(parts, [1])

    assert [one.seq for one in taken(parts)[0]] == [0, 1]
    assert len(taken(parts)[1]) == 1
    assert sum(parts.tally.repeated) == 0
