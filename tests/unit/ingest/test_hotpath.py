"""Any stream of messages, cut anywhere: the readings and the answers of a plain reference."""

import asyncio
import time
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.message import settle
from ingest.sources.mqtt.connection import Connection
from ingest.sources.mqtt.packet_receipts import Unreleased
from stack.faults import packets
from telemetry.lineprotocol import parse_readings
from telemetry.topics import READINGS, TopicRouter, TopicTemplate
from tests import reference_ingest
from tests.ingest_parts import Parts
from tests.reference_ingest import Expected

NOW_MS = time.time_ns() // 1_000_000
ARRIVAL_MS = 1_700_000_100_000
RETENTION_MS = 720 * 3_600_000
ROUTER = TopicRouter([TopicTemplate.parse(READINGS)])
TOPICS: list[str | bytes] = [
    "telemetry/s/node-1/m",
    "telemetry/s/node-2/m",
    "telemetry/s/node-1/n",
    "nowhere",
    b"\xff",
]
PAYLOADS = [
    b'{"ts":%(ts)d,"values":{"a":%(number)d.5,"b":%(number)d},"boot":1700000000000,"seq":%(seq)d}',
    b'{"ts": %(ts)d, "values": {"a": 1.%(seq)d, "on": true, "word": "x"}, "boot": 17, "seq": 1}',
    b'{"ts":%(ts)d,"values":{"a":1,"c":null}}',
    b'[{"ts":%(ts)d,"values":{"a":%(number)d}},{"ts":%(ts)d,"values":{"b":%(seq)d}}]',
    b'[{"ts":%(ts)d,"values":{"a":1}},{"ts":"no","values":{}},{"ts":1,"values":{"a":1}}]',
    b'{"a":%(number)d,"ts":%(ts)d}',
    b"m a=%(number)d %(ts)d000000",
    b"%(number)d",
    b"",
]


class Wire:
    """Stands where gmqtt's connection does: what is sent is kept."""

    def __init__(self, client: Connection) -> None:
        self.sent = b""
        self._handle = client._package_handler
        self._last_data_in = 0.0
        client._connection = self
        client._package_handler.set_connection(self)
        client._connack_received.set()

    def put_package(self, package: Any) -> None:
        self._handle(package)

    def send_package(self, data: bytes) -> None:
        self.sent += data

    def is_closing(self) -> bool:
        return False


class Taker:
    """Takes a connection's messages to an intake."""

    def __init__(self, parts: Parts) -> None:
        self.accept = parts.intake.accept
        self.refuse = parts.intake.refuse
        self.has_room = parts.intake.has_room
        self.room = parts.intake.room
        self.counted = 0

    def count(self, messages: int) -> None:
        self.counted += messages

    def notice(self, topic: str, payload: bytes) -> None:
        raise AssertionError(topic, payload)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Messages of every level and format, in time and out of it, plain and not."""
    stream = []
    for number in range(draw(st.integers(1, 12))):
        late_ms = draw(st.sampled_from([0, 0, 0, 1_000, RETENTION_MS + 1, -RETENTION_MS]))
        told = {"ts": ARRIVAL_MS - late_ms, "number": draw(st.integers(0, 99)), "seq": number}
        payload = draw(st.sampled_from(PAYLOADS)) % {
            name.encode(): value for name, value in told.items()
        }
        content_type = draw(st.sampled_from([None, None, None, "text/plain", "application/json"]))
        stream.append(
            packets.publish(
                draw(st.sampled_from(TOPICS)),
                payload,
                draw(st.integers(0, 2)),
                number + 1,
                dup=draw(st.booleans()),
                content_type=content_type,
            )
        )
    return stream


@given(
    streams(),
    st.lists(st.integers(0, 1_500), max_size=10),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_stream_cut_anywhere_comes_to_what_a_plain_reference_makes_of_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    stream: list[bytes],
    cuts: list[int],
    batch_readings: int,
    chance: Random,
) -> None:
    monkeypatch.setattr("ingest.sources.mqtt.inbound.now_ms", lambda: ARRIVAL_MS)
    expected = reference_ingest.read(
        stream, ROUTER, arrival_ms=ARRIVAL_MS, retention_ms=RETENTION_MS
    )

    found = asyncio.run(
        _found(Parts(tmp_path, batch_readings=batch_readings), stream, cuts, chance)
    )

    assert found == expected


async def test_a_message_that_cannot_be_read_is_answered_in_its_place(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    taker = Taker(parts)
    connection = Connection(
        "hot", taker, notices=("$SYS/",), unreleased=Unreleased(), tally=parts.tally
    )
    wire = Wire(connection)
    topic = "telemetry/s/node-1/m"
    unreadable = packets.packet(0x32, packets.text(topic) + b"\x00\x02" + b"\x7f no property")

    connection.take(
        packets.publish(topic, PAYLOADS[2] % {b"ts": NOW_MS}, 1, 1)
        + unreadable
        + packets.publish(topic, b"no reading", 1, 3)
    )

    assert taker.counted == parts.tally.messages == 3
    (stored,) = parts.intake._open.messages
    refused = [one.receipt for one in parts.quarantining._waiting]
    settle([one for one in (*refused, stored.receipt) if one is not None])
    assert wire.sent == b"".join(packets.answer(packets.PUBACK, number) for number in (1, 2, 3))


async def _found(parts: Parts, stream: list[bytes], cuts: list[int], chance: Random) -> Expected:
    """Let a connection take the stream in pieces, settle its parts in any order, and look."""
    taker = Taker(parts)
    connection = Connection(
        "hot", taker, notices=("$SYS/",), unreleased=Unreleased(), tally=parts.tally
    )
    wire = Wire(connection)
    data = b"".join(stream)
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for begin, end in pairwise(places):
        connection.take(data[begin:end])

    assert wire.sent == b"", "nothing is answered before it is durable"
    assert parts.tally.balance == 0
    assert taker.counted == parts.tally.messages
    batches = [*parts.intake._closed, parts.intake._open]
    refused = parts.quarantining._waiting
    owed = [[one.receipt for one in batch.messages] for batch in batches]
    owed += [[one.receipt] for one in refused]
    chance.shuffle(owed)
    for receipts in owed:
        settle([one for one in receipts if one is not None])
    lines = b"\n".join([line for batch in batches for line in batch.lines] + [b""])
    return Expected(
        parse_readings(lines.decode()),
        [(one.record.payload, one.record.index) for one in refused],
        wire.sent,
        parts.tally.messages,
    )
