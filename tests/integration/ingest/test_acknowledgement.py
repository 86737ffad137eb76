"""Nothing is acknowledged before it is durable, and everything in the order in which it came."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.quarantine import QuarantineRecord
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import StartIngest, locked
from tests.scripted_broker import PUBACK, PUBCOMP, PUBREC, PUBREL, ScriptedBroker, packet, publish

NOW_MS = time.time_ns() // 1_000_000
TOPIC = "telemetry/jakarta/node-1/weather"


def payload(seq: int) -> bytes:
    return encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq))


async def test_no_puback_and_no_pubrec_leaves_while_the_store_is_silent(
    broker: ScriptedBroker,
    start_ingest: StartIngest,
    store_path: Path,
    stored: Callable[[], list[Reading]],
) -> None:
    service = await start_ingest()
    await eventually_async(store_path.exists)
    with locked(store_path):
        for number in range(1, 101):
            broker.send(publish(TOPIC, payload(number), qos=1 + number % 2, packet_id=number))
        await eventually_async(lambda: sum(service.tally.received) == 100)
        began_s = time.monotonic()
        # Many flush intervals pass, each of which would have acknowledged.
        await eventually_async(lambda: time.monotonic() - began_s > 0.5)

        assert broker.kinds(PUBACK, PUBREC) == []

    await eventually_async(lambda: len(broker.kinds(PUBACK, PUBREC)) == 100)
    assert len(stored()) == 100


async def test_acknowledgements_leave_in_the_order_of_their_messages(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-4.6.0-2] and [MQTT-4.6.0-3], with messages for store and quarantine in turn."""
    await start_ingest()
    for number in range(1, 201):
        body = payload(number) if number % 3 else b"{nonsense"
        broker.send(publish(TOPIC, body, qos=1 + number % 2, packet_id=number))

    await eventually_async(lambda: len(broker.kinds(PUBACK, PUBREC)) == 200)

    acknowledged = broker.kinds(PUBACK, PUBREC)
    assert [one.packet_id for one in acknowledged] == list(range(1, 201))
    assert [one.kind for one in acknowledged[:4]] == [PUBREC, PUBACK, PUBREC, PUBACK]


async def test_a_qos_2_handshake_is_completed(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7))
    await eventually_async(lambda: broker.kinds(PUBREC))

    broker.send(packet(PUBREL, b"\0\7"))

    await eventually_async(lambda: broker.kinds(PUBCOMP))
    assert broker.kinds(PUBCOMP)[0].packet_id == 7


async def test_a_late_acknowledgement_does_not_leave_on_a_new_connection(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    service = await start_ingest()
    await eventually_async(store_path.exists)
    with locked(store_path):
        broker.send(publish(TOPIC, payload(1), qos=1, packet_id=9))
        await eventually_async(lambda: sum(service.tally.received) == 1)
        broker.cut()
        await eventually_async(lambda: service.tally.connects == 2)

    await eventually_async(lambda: sum(service.tally.written) == 1)
    broker.send(publish(TOPIC, payload(2), qos=1, packet_id=10))
    await eventually_async(lambda: broker.kinds(PUBACK))

    assert [one.packet_id for one in broker.kinds(PUBACK)] == [10]


@pytest.mark.parametrize(
    ("topic", "body", "reason"),
    [
        (TOPIC, b"", "empty payload"),
        (TOPIC, b"\xff\xfe", "not UTF-8"),
        (TOPIC, b"{bad", "malformed"),
        (TOPIC, b"x" * 70_000, "too large"),
        (TOPIC, b'{"ts": 1700000000, "values": {"a": 1}}', "out of range"),
        (TOPIC, b'{"ts": 1700000000000000000, "values": {"a": 1}}', "`int` <="),
        (TOPIC, b'{"a": 1, "device": "node-2"}', "not the address's"),
        ("telemetry/jakarta//weather", b'{"a": 1}', "device ''"),
        ('telemetry/jakarta/a,b c="x"/weather', b'{"a": 1}', "device"),
        (b"telemetry/jakarta/\xff/weather", b'{"a": 1}', "not UTF-8"),
        ("elsewhere", b'{"a": 1}', "no topic template"),
    ],
)
async def test_a_poison_message_is_quarantined_and_acknowledged_and_others_are_stored(
    broker: ScriptedBroker,
    start_ingest: StartIngest,
    stored: Callable[[], list[Reading]],
    quarantined: Callable[[], list[QuarantineRecord]],
    topic: str | bytes,
    body: bytes,
    reason: str,
) -> None:
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))
    broker.send(publish(topic, body, qos=1, packet_id=2))
    broker.send(publish(TOPIC, payload(3), qos=1, packet_id=3))

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 3)

    assert [one.seq for one in stored()] == [1, 3]
    (record,) = quarantined()
    assert record.payload == body
    assert reason in record.reason
    assert service.tally.quarantined == 1
    assert broker.connects == 1


async def test_of_a_pack_the_good_readings_are_stored_and_the_bad_one_is_named(
    broker: ScriptedBroker,
    start_ingest: StartIngest,
    stored: Callable[[], list[Reading]],
    quarantined: Callable[[], list[QuarantineRecord]],
) -> None:
    await start_ingest()
    pack = b"[" + payload(1) + b', {"ts": "late", "values": {"a": 1}}, ' + payload(3) + b"]"

    broker.send(publish(TOPIC, pack, qos=1, packet_id=1))

    await eventually_async(lambda: broker.kinds(PUBACK))
    assert [one.seq for one in stored()] == [1, 3]
    assert [(one.index, one.topic) for one in quarantined()] == [(1, TOPIC)]


async def test_reading_stops_when_enough_is_held_and_goes_on_when_it_is_written(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    service = await start_ingest(held_readings=1000, keepalive_seconds=2)
    await eventually_async(store_path.exists)
    count = 20_000
    with locked(store_path):
        for number in range(count):
            broker.send(publish(TOPIC, payload(number), qos=0))
        await eventually_async(lambda: service.tally.in_flight >= 1000)
        await asyncio.sleep(0)
        # One read of the socket, 256 KiB, may be on its way when the limit is reached.
        assert service.tally.in_flight < 1000 + 262_144 / len(payload(0))

    await eventually_async(lambda: sum(service.tally.written) == count)
    assert broker.connects == 1


async def test_a_repeat_is_counted_and_stored_once(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1, dup=True))
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=2))
    # New to us although it bears DUP: the first delivery may never have come.
    broker.send(publish(TOPIC, payload(2), qos=1, packet_id=3, dup=True))

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 4)

    assert [one.seq for one in stored()] == [1, 2]
    assert sum(service.tally.repeated) == 3


async def test_the_books_balance_at_every_moment(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest()
    balances = set()
    for number in range(1, 501):
        body = payload(number) if number % 7 else b"{nonsense"
        broker.send(publish(TOPIC, body, qos=number % 3, packet_id=number))
        await asyncio.sleep(0)
        balances.add(service.tally.balance)

    await eventually_async(lambda: service.tally.in_flight == 0 and service.tally.messages == 500)

    assert balances | {service.tally.balance} == {0}
