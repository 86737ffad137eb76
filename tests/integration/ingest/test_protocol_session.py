"""The session: durable, resumed, subscribed anew on every connection, and said when it is lost.

Statement numbers are those of MQTT 5.0 (OASIS Standard).
"""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest.sources.mqtt.broker_watch import BROKER_TOPICS
from telemetry.payload.native import encode_native
from telemetry.reading import Reading
from tests.eventually import eventually_async
from tests.integration.ingest.conftest import StartIngest, stop
from tests.log_lines import Line
from tests.scripted_broker import (
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBLISH,
    RECEIVE_MAXIMUM,
    SESSION_EXPIRY,
    SUBSCRIBE,
    UNSUBSCRIBE,
    ScriptedBroker,
    publish,
)

NOW_MS = time.time_ns() // 1_000_000
TOPIC = "telemetry/jakarta/node-1/weather"
READINGS = "telemetry/+/+/+"
DROPPED = "$SYS/broker/publish/messages/dropped"
CLEAN_START = 0x02
NEVER = 0xFFFF_FFFF  # MQTT 5.0, 3.1.2.11.2
AT_QOS_2, RETAINED_ONCE = 0x02, 0x10


def payload(seq: int) -> bytes:
    return encode_native(Reading("", "", "", NOW_MS + seq, {"a": 1.0}, NOW_MS, seq))


def subscriptions(broker: ScriptedBroker) -> list[dict[str, int]]:
    return [one.filters for one in broker.kinds(SUBSCRIBE)]


async def test_it_asks_for_a_durable_session_and_announces_its_window(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    await start_ingest(session_expiry_seconds=1234, receive_maximum=567)

    (connect,) = broker.kinds(CONNECT)
    assert connect.connect_flags & CLEAN_START == 0
    assert connect.connect_properties == {SESSION_EXPIRY: 1234, RECEIVE_MAXIMUM: 567}


async def test_its_session_is_kept_until_it_leaves(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """A session that ends by the clock takes acknowledged readings with it."""
    await start_ingest()

    (connect,) = broker.kinds(CONNECT)
    assert connect.connect_properties[SESSION_EXPIRY] == NEVER


@pytest.mark.parametrize("session_present", [False, True])
async def test_it_subscribes_on_every_connection_whether_the_session_was_kept_or_not(
    broker: ScriptedBroker, start_ingest: StartIngest, session_present: bool
) -> None:
    """Readings that are retained come with a new subscription only, not with every connection."""
    service = await start_ingest()
    broker.session_present = session_present
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 2)

    once = [{READINGS: AT_QOS_2 | RETAINED_ONCE}, dict.fromkeys(BROKER_TOPICS, 0)]
    assert subscriptions(broker) == once * 2


async def test_a_lost_session_is_counted_and_said(
    broker: ScriptedBroker, start_ingest: StartIngest, logged: list[Line]
) -> None:
    service = await start_ingest()
    assert service.tally.sessions_lost == 0
    broker.session_present = True
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 2)
    assert service.tally.sessions_lost == 0
    broker.session_present = False
    broker.cut()
    await eventually_async(lambda: service.tally.connects == 3)

    assert service.tally.sessions_lost == 1
    assert any("the broker has lost our session" in line["event"] for line in logged)


async def test_a_refused_subscription_is_said_and_tried_again(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    broker.subscribed = {READINGS: 0x87}
    service = await start_ingest(subscribed=False)
    refusal = f"the broker refuses the subscription {READINGS}: 0x87"
    await eventually_async(lambda: service.mqtt.problem == refusal)

    broker.subscribed = {}

    await eventually_async(lambda: service.tally.connects == 1)


async def test_a_broker_that_keeps_its_drop_counter_to_itself_is_used_all_the_same(
    broker: ScriptedBroker, start_ingest: StartIngest, logged: list[Line]
) -> None:
    """Not every broker has the `$SYS` topics, or lets everyone read them."""
    broker.subscribed = {DROPPED: 0x87}
    service = await start_ingest()
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))

    await eventually_async(lambda: broker.kinds(PUBACK))
    assert service.tally.connects == 1
    assert any(line.get("filter") == DROPPED for line in logged)


async def test_a_suback_with_too_few_answers_is_a_refusal_and_not_the_end(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    broker.answers.discard(SUBSCRIBE)
    service = await start_ingest(subscribed=False)
    await eventually_async(lambda: broker.kinds(SUBSCRIBE))
    broker.send(b"\x90\x03" + broker.kinds(SUBSCRIBE)[0].body[:2] + b"\0")
    await eventually_async(lambda: "answers 0 of 1" in str(service.mqtt.problem))
    broker.answers.add(SUBSCRIBE)

    await eventually_async(lambda: service.tally.connects == 1)


async def test_what_is_no_longer_wanted_is_unsubscribed_from_once(
    broker: ScriptedBroker, start_ingest: StartIngest, tmp_path: Path
) -> None:
    first = await start_ingest(
        topics=f"{'telemetry/{site}/{device}/{measurement}'};a/{{device}} site=s measurement=m"
    )
    await stop(first)
    assert broker.kinds(DISCONNECT)
    broker.session_present = True

    second = await start_ingest(data_dir=str(tmp_path / "data"))
    assert [one.filters for one in broker.kinds(UNSUBSCRIBE)] == [{"a/+": 0}]
    broker.cut()
    await eventually_async(lambda: second.tally.connects == 2)
    assert len(broker.kinds(UNSUBSCRIBE)) == 1


async def test_of_a_session_that_is_new_nothing_is_unsubscribed(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    first = await start_ingest(share_group="a")
    await stop(first)
    assert broker.kinds(DISCONNECT)

    await start_ingest()

    assert broker.kinds(UNSUBSCRIBE) == []


async def test_a_share_group_that_was_changed_leaves_the_old_share(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    first = await start_ingest(share_group="a")
    await stop(first)
    assert broker.kinds(DISCONNECT)
    broker.session_present = True

    await start_ingest(share_group="b")

    assert [one.filters for one in broker.kinds(UNSUBSCRIBE)] == [{f"$share/a/{READINGS}": 0}]
    assert {f"$share/b/{READINGS}": AT_QOS_2 | RETAINED_ONCE} in subscriptions(broker)


async def test_a_full_disk_does_not_keep_it_from_coming_back_to_the_broker(
    broker: ScriptedBroker, start_ingest: StartIngest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a session is subscribed to is written down when it changes, and then only."""
    service = await start_ingest()
    broker.session_present = True

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ingest.sources.mqtt.session_memory.replace_durably", fail)
    broker.cut()

    await eventually_async(lambda: service.tally.connects == 2)


async def test_a_stop_acknowledges_what_was_taken_and_keeps_the_session(
    broker: ScriptedBroker, start_ingest: StartIngest, stored: Callable[[], list[Reading]]
) -> None:
    """[MQTT-3.14.4-1] and [MQTT-3.14.4-2]: the last packet, then the end."""
    service = await start_ingest(flush_interval_ms=60_000)
    # The first batch after a start waits for nothing.
    broker.send(publish(TOPIC, payload(0), qos=1, packet_id=101))
    await eventually_async(lambda: len(broker.kinds(PUBACK)) == 1)
    for seq in range(1, 101):
        broker.send(publish(TOPIC, payload(seq), qos=1, packet_id=seq))
    await eventually_async(lambda: sum(service.tally.received) == 101)
    assert len(broker.kinds(PUBACK)) == 1

    service.stop()
    await eventually_async(lambda: broker.ended)

    assert len(stored()) == len(broker.kinds(PUBACK)) == 101
    goodbye = broker.seen[-1]
    assert goodbye.kind == DISCONNECT
    assert goodbye.body[:1] in (b"", b"\0")
    assert SESSION_EXPIRY not in goodbye.disconnect_properties


async def test_a_stop_takes_no_message_that_comes_after_it(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    """What one read of the socket brings may still be taken; then the broker keeps it."""
    service = await start_ingest(flush_interval_ms=60_000)
    broker.send(publish(TOPIC, payload(1), qos=1, packet_id=1))
    await eventually_async(lambda: sum(service.tally.received) == 1)
    assert service.mqtt._connection is not None
    transport = service.mqtt._connection._connection._transport
    # After a small piece the socket is left alone for a moment, in which more gathers.
    await eventually_async(transport.is_reading, what="the end of that moment")
    service.mqtt.pause()
    broker.send(publish(TOPIC, payload(2), qos=1, packet_id=2))
    await eventually_async(lambda: sum(service.tally.received) == 2)
    broker.send(publish(TOPIC, payload(3), qos=1, packet_id=3))

    service.stop()
    await eventually_async(lambda: broker.ended)

    assert [one.packet_id for one in broker.kinds(PUBACK)] == [1, 2]


async def test_a_member_of_a_group_says_that_it_goes_before_it_does(
    broker: ScriptedBroker, start_ingest: StartIngest
) -> None:
    service = await start_ingest(share_group="a")
    service.stop()
    await eventually_async(lambda: broker.ended)

    (connect,) = broker.kinds(CONNECT)
    assert connect.connect_flags & 0x3C == 0x2C  # a will, at QoS 1, retained
    said = [one for one in broker.seen if one.kind & 0xF0 == PUBLISH]
    assert [b'"online"' in one.body for one in said] == [True, False]
    assert [b'"offline"' in one.body for one in said] == [False, True]
    assert all(one.kind & 1 for one in said)
    assert broker.seen[-1].kind == DISCONNECT
