"""What a receiving client must keep about PUBACK, PUBREC and PUBCOMP, seen in raw bytes.

Statement numbers are those of MQTT 5.0 (OASIS Standard).
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.quarantine import QuarantineRecord
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import StartIngest, locked
from tests.scripted_broker import (
    CONTENT_TYPE,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    TOPIC_ALIAS,
    USER_PROPERTY,
    ScriptedBroker,
    number_property,
    packet,
    publish,
    text,
)

NOW_MS = time.time_ns() // 1_000_000
TOPIC = "telemetry/jakarta/node-1/weather"


def payload(seq: int) -> bytes:
    return encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq))


def pubrel(packet_id: int) -> bytes:
    return packet(PUBREL, packet_id.to_bytes(2, "big"))


async def test_a_qos_1_message_is_answered_with_a_puback_of_its_packet_identifier(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-4.3.2-4] and [MQTT-2.2.1-5]."""
    await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=0xABCD))

    await eventually_async(lambda: broker.kinds(PUBACK))

    assert [one.packet_id for one in broker.kinds(PUBACK, PUBREC)] == [0xABCD]


async def test_after_its_puback_a_packet_identifier_is_a_new_message_with_dup_or_without(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    """[MQTT-4.3.2-5]."""
    await start_ingest()
    for seq in (1, 2):
        broker.send(publish(TOPIC, payload(seq), qos=1, packet_id=5, dup=seq == 2))
        await eventually_async(lambda seq=seq: len(broker.kinds(PUBACK)) == seq)  # type: ignore[misc]

    assert [one.seq for one in stored()] == [1, 2]


async def test_a_qos_2_message_is_answered_with_pubrec_and_its_pubrel_with_pubcomp(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-4.3.3-8] and [MQTT-4.3.3-11]."""
    await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=0xABCD))
    await eventually_async(lambda: broker.kinds(PUBREC))
    broker.send(pubrel(0xABCD))
    await eventually_async(lambda: broker.kinds(PUBCOMP))

    answers = [(one.kind, one.packet_id) for one in broker.kinds(PUBACK, PUBREC, PUBCOMP)]
    assert answers == [(PUBREC, 0xABCD), (PUBCOMP, 0xABCD)]


async def test_a_qos_2_message_repeated_before_its_pubrel_is_answered_and_not_handed_on(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-4.3.3-10], also on the session's next connection."""
    service = await start_ingest()
    broker.session_present = True
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7))
    await eventually_async(lambda: broker.kinds(PUBREC))
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 2)
    for count in (2, 3):
        broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7, dup=True))
        await eventually_async(lambda count=count: len(broker.kinds(PUBREC)) == count)  # type: ignore[misc]

    assert service.tally.duplicate_messages == 2
    assert sum(service.tally.received) == 1


async def test_a_qos_2_repeat_is_answered_behind_what_came_before_it(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    """[MQTT-4.6.0-3]: what needs no write waits for what does."""
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7))
    await eventually_async(lambda: broker.kinds(PUBREC))
    with locked(store_path):
        broker.send(publish(TOPIC, payload(2), qos=2, packet_id=8))
        broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7, dup=True))
        await eventually_async(lambda: service.tally.duplicate_messages == 1)
        assert len(broker.kinds(PUBREC)) == 1

    await eventually_async(lambda: len(broker.kinds(PUBREC)) == 3)
    assert [one.packet_id for one in broker.kinds(PUBREC)] == [7, 8, 7]


async def test_another_message_under_an_unreleased_packet_identifier_is_not_passed_over(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    """Stricter than the standard: Mosquitto 2.0.11 may have one identifier on its way twice."""
    await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7))
    await eventually_async(lambda: broker.kinds(PUBREC))
    broker.send(publish(TOPIC, payload(2), qos=2, packet_id=7, dup=True))
    await eventually_async(lambda: len(broker.kinds(PUBREC)) == 2)

    assert [one.seq for one in stored()] == [1, 2]


async def test_a_repeat_of_what_was_never_acknowledged_is_handed_on(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    """The first copy may be lost with the process that holds it: only its PUBREC releases us."""
    service = await start_ingest()
    broker.session_present = True
    await eventually_async(store_path.exists)
    with locked(store_path):
        broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7))
        await eventually_async(lambda: sum(service.tally.received) == 1)
        broker.cut()
        await eventually_async(lambda: service.tally.connects == 2)
        broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7, dup=True))
        await eventually_async(lambda: sum(service.tally.received) == 2)
        assert broker.kinds(PUBREC) == []

    await eventually_async(lambda: broker.kinds(PUBREC))
    assert service.tally.duplicate_messages == 0
    assert sum(service.tally.repeated) == 1


async def test_after_its_pubcomp_a_packet_identifier_is_a_new_message(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-4.3.3-12], even where the same content comes with DUP."""
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7) + pubrel(7))
    await eventually_async(lambda: broker.kinds(PUBCOMP))
    await eventually_async(lambda: broker.kinds(PUBREC))
    broker.send(pubrel(7))
    await eventually_async(lambda: len(broker.kinds(PUBCOMP)) == 2)
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7, dup=True))
    await eventually_async(lambda: len(broker.kinds(PUBREC)) == 2)

    assert sum(service.tally.received) == 2
    assert service.tally.duplicate_messages == 0


async def test_a_pubrel_of_an_unknown_packet_identifier_is_answered_with_pubcomp(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-4.3.3-11]: a handshake that another process began ends, and does not block the slot."""
    await start_ingest()
    broker.send(pubrel(999))

    await eventually_async(lambda: broker.kinds(PUBCOMP))
    assert broker.kinds(PUBCOMP)[0].packet_id == 999


async def test_a_new_session_forgets_the_identifiers_of_the_old_one(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """[MQTT-3.2.2-5]: with Session Present 0 the client discards its session state."""
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7))
    await eventually_async(lambda: broker.kinds(PUBREC))
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 2)
    broker.send(publish(TOPIC, payload(1), qos=2, packet_id=7, dup=True))
    await eventually_async(lambda: len(broker.kinds(PUBREC)) == 2)

    assert service.tally.duplicate_messages == 0
    assert sum(service.tally.received) == 2


async def test_what_is_not_for_the_store_is_acknowledged_in_its_turn(
    broker: ScriptedBroker, start_ingest: StartIngest, store_path: Path
) -> None:
    """[MQTT-4.6.0-2]: a status behind a reading that waits for the store waits with it."""
    service = await start_ingest()
    await eventually_async(store_path.exists)
    with locked(store_path):
        broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))
        broker.send(publish("status/denyut/ingest-2", b"\xff nonsense", qos=1, packet_id=2))
        broker.send(publish("status/denyut/ingest-2", b'{"state": "\xff"}', qos=1, packet_id=3))
        await eventually_async(lambda: sum(service.tally.received) == 1)
        assert broker.kinds(PUBACK) == []

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 3)
    assert [one.packet_id for one in broker.kinds(PUBACK)] == [1, 2, 3]


async def test_every_property_that_a_publish_may_have_is_read(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    await start_ingest()
    properties = (
        b"\x01\x01"  # payload format indicator
        + number_property(0x02, 60)  # message expiry interval
        + bytes((CONTENT_TYPE,))
        + text("application/vnd.denyut.reading+json")
        + b"\x08"  # response topic
        + text("reply/jakarta/node-1/x")
        + b"\x09"  # correlation data
        + text(b"\x00\xff")
        + b"\x0b\x80\x01"  # subscription identifier 128
        + bytes((USER_PROPERTY,))
        + text("a")
        + text("b")
        + bytes((USER_PROPERTY,))
        + text("a")
        + text("c")
    )
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1, properties=properties))

    await eventually_async(lambda: broker.kinds(PUBACK))
    assert [one.seq for one in stored()] == [1]


async def test_the_content_type_chooses_the_format(
    broker: ScriptedBroker,
    start_ingest: StartIngest,
    quarantined: Callable[[], list[QuarantineRecord]],
) -> None:
    await start_ingest()
    properties = bytes((CONTENT_TYPE,)) + text("text/vnd.influxdb.line-protocol")
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1, properties=properties))

    await eventually_async(lambda: broker.kinds(PUBACK))
    assert [one.content_type for one in quarantined()] == ["text/vnd.influxdb.line-protocol"]


@pytest.mark.parametrize(
    ("topic", "properties"),
    [
        pytest.param("", number_property(TOPIC_ALIAS, 3), id="an alias that was never given"),
        pytest.param("", b"", id="no topic"),
        pytest.param(TOPIC, b"\x7f\x00", id="an unknown property"),
        pytest.param(TOPIC, bytes((CONTENT_TYPE,)) + text(b"\xff"), id="a text not in UTF-8"),
    ],
)
@pytest.mark.parametrize("qos", [1, 2])
async def test_a_publish_that_cannot_be_read_is_quarantined_acknowledged_and_holds_no_slot(
    broker: ScriptedBroker,
    start_ingest: StartIngest,
    stored: Callable[[], list[Reading]],
    quarantined: Callable[[], list[QuarantineRecord]],
    topic: str,
    properties: bytes,
    qos: int,
) -> None:
    """No broker may send these; one that does must not fill the window with them for good."""
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=qos, packet_id=1))
    broker.send(publish(topic, payload(2), qos=qos, packet_id=2, properties=properties))
    broker.send(publish(TOPIC, payload(3), qos=qos, packet_id=3))

    await eventually_async(lambda: len(broker.kinds(PUBACK, PUBREC)) == 3)

    assert [one.packet_id for one in broker.kinds(PUBACK, PUBREC)] == [1, 2, 3]
    assert [one.seq for one in stored()] == [1, 3]
    (record,) = quarantined()
    assert record.payload.endswith(payload(2))
    assert service.tally.balance == 0
    assert broker.connects == 1


async def test_a_topic_alias_that_was_given_is_followed(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    """We ask for none, so none may come [MQTT-3.1.2-27]; one that comes is still understood."""
    await start_ingest()
    alias = number_property(TOPIC_ALIAS, 1)
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1, properties=alias))
    broker.send(publish("", payload(2), qos=1, packet_id=2, properties=alias))

    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 2)
    assert [one.seq for one in stored()] == [1, 2]


@pytest.mark.parametrize(
    "malformed",
    [packet(0x36, text(TOPIC) + b"\0\1\0" + payload(1)), packet(0x32, text(TOPIC) + b"\0")],
    ids=["QoS 3", "without a packet identifier"],
)
async def test_a_malformed_publish_that_no_acknowledgement_can_name_closes_the_connection(
    broker: ScriptedBroker, start_ingest: StartIngest, malformed: bytes
) -> None:
    """[MQTT-3.3.1-4], and the next connection works."""
    service = await start_ingest()
    broker.send(malformed)
    await eventually_async(lambda: service.tally.connects == 2)
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))

    await eventually_async(lambda: broker.kinds(PUBACK))
    assert broker.ended == 1
