"""What a device makes of a broker's answers: a real Mosquitto's, and a scripted one's."""

import asyncio
import os
import signal
from collections.abc import Callable

import msgspec
import pytest

from sensors.fleetfile import QoS
from sensors.uplink import Status
from stack.broker import Broker
from tests.eventually import eventually_async
from tests.integration.sensors.answers import (
    QOS_1_PUBLISH,
    QOS_2_PUBLISH,
    RETAINED_PUBLISH,
    answer,
    published_id,
)
from tests.integration.sensors.conftest import Listener, StartSender
from tests.scripted_broker import (
    CONNECT,
    DISCONNECT,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    scripted_broker,
)

NOT_AUTHORIZED = 0x87


@pytest.mark.parametrize("qos", [1, 2])
async def test_a_forbidden_topic_is_a_refusal_and_no_delivery(
    broker: Broker, start_sender: StartSender, listen: Callable[..., Listener], qos: QoS
) -> None:
    broker.admit(["a"])
    listen("telemetry/#")
    sender = await start_sender(qos, port=broker.port, password=broker.password("a"))
    forbidden = sender.publish(topic="telemetry/home/b/m")
    allowed = sender.publish()
    await eventually_async(lambda: sender.acknowledged, what="the allowed one's acknowledgement")
    await eventually_async(lambda: sender.counters.refused[qos], what="a refusal")
    assert sender.acknowledged == [allowed]
    assert sender.counters.refused[qos] == 1
    assert sender.refused == [forbidden]
    assert sender.uplink.unfinished == 0
    assert sender.counters.lost_connections == 0


async def test_a_reading_without_subscribers_stays_until_somebody_subscribes(
    broker: Broker, start_sender: StartSender, listen: Callable[..., Listener]
) -> None:
    broker.admit(["a"])
    sender = await start_sender(1, port=broker.port, password=broker.password("a"))
    sent = [sender.publish(payload=b"%d" % number) for number in range(3)]
    await eventually_async(lambda: sender.counters.kept >= 3, what="answers 0x10")
    assert sender.acknowledged == []
    assert sender.uplink.unfinished == 3
    listener = listen("telemetry/#")
    # Who subscribes between two of them gets the first one later.
    await eventually_async(lambda: sorted(sender.acknowledged) == sent, what="acknowledgements")
    await eventually_async(lambda: len(listener.messages) == 3, what="the readings")
    assert sorted(listener.payloads(sender.topic)) == [b"0", b"1", b"2"]


async def test_at_qos_2_mosquitto_takes_a_reading_that_nobody_gets(
    broker: Broker, start_sender: StartSender
) -> None:
    """The loss that docs/delivery.md names: PUBREC says success, so no device can know of it."""
    broker.admit(["a"])
    sender = await start_sender(2, port=broker.port, password=broker.password("a"))
    sent = [sender.publish() for _ in range(3)]
    await eventually_async(lambda: sender.acknowledged == sent, what="the acknowledgements")
    assert sender.counters.kept == 0


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_payload_above_the_brokers_limit_is_refused_before_it_is_sent(
    broker: Broker, start_sender: StartSender, listen: Callable[..., Listener], qos: QoS
) -> None:
    broker.admit(["a"])
    listener = listen("telemetry/#")
    sender = await start_sender(qos, port=broker.port, password=broker.password("a"))
    await eventually_async(lambda: sender.uplink.connected, what="a connection")
    most = broker.configuration.limits.max_packet_bytes
    fixed_header = 4
    overhead = fixed_header + 2 + len(sender.topic) + (2 if qos else 0) + 1
    sender.publish(payload=b"x" * (most - overhead + 3))
    sender.publish(payload=b"y" * (most - overhead - 2))
    await eventually_async(lambda: listener.messages, what="the one that fits")
    assert [bytes(one.payload)[:1] for one in listener.messages] == [b"y"]
    assert sender.counters.refused[qos] == 1
    assert sender.counters.lost_connections == 0


async def test_a_wrong_password_is_counted_and_tried_again(
    broker: Broker, start_sender: StartSender
) -> None:
    broker.admit(["a"])
    sender = await start_sender(1, port=broker.port, password="wrong")
    await eventually_async(
        lambda: sender.counters.connect_failures["refused"] >= 2, what="two refusals"
    )
    assert sender.counters.connects == 0


async def test_qos_0_without_a_connection_is_dropped_and_counted(
    start_sender: StartSender,
) -> None:
    sender = await start_sender(0, port=1)
    await eventually_async(
        lambda: sender.counters.connect_failures["unreachable"], what="a failure to connect"
    )
    sender.publish()
    assert sender.counters.dropped["not_connected"] == [1, 0, 0]
    assert sender.dropped == [0]


async def test_a_full_outbox_drops_the_oldest_and_counts_it(start_sender: StartSender) -> None:
    sender = await start_sender(1, port=1, outbox_readings=5)
    for _ in range(8):
        sender.publish()
    assert sender.uplink.unfinished == 5
    assert sender.counters.dropped["outbox_full"] == [0, 3, 0]
    assert sender.dropped == [0, 1, 2]


async def test_a_broker_that_never_answers_connect_is_given_up(
    start_sender: StartSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with scripted_broker() as broker:
        monkeypatch.setattr(broker, "_answer", lambda _received, _writer: None)
        sender = await start_sender(1, port=broker.port, timeout_seconds=0.2)
        await eventually_async(
            lambda: sender.counters.connect_failures["timeout"] >= 2, what="two timeouts"
        )


async def test_a_refused_pubrec_gets_no_pubrel_and_frees_the_window(
    start_sender: StartSender,
) -> None:
    """[MQTT-4.3.3-4]: PUBREL answers a PUBREC whose reason code is less than 0x80."""
    async with scripted_broker() as broker:
        sender = await start_sender(2, port=broker.port)
        for _ in range(2):
            sender.publish()
        await eventually_async(lambda: len(broker.kinds(QOS_2_PUBLISH)) == 2, what="two readings")
        refused, taken = (published_id(one) for one in broker.kinds(QOS_2_PUBLISH))
        answer(broker, PUBREC, refused, NOT_AUTHORIZED)
        answer(broker, PUBREC, taken)
        await eventually_async(lambda: broker.kinds(PUBREL), what="a PUBREL")
        assert [one.packet_id for one in broker.kinds(PUBREL)] == [taken]
        assert sender.acknowledged == [], "PUBREC is not yet the end of the handshake"
        answer(broker, PUBCOMP, taken)
        await eventually_async(lambda: sender.acknowledged == [1], what="the acknowledgement")
        assert sender.counters.refused == [0, 0, 1]


async def test_an_interrupted_handshake_is_begun_again_on_the_next_connection(
    start_sender: StartSender,
) -> None:
    async with scripted_broker() as broker:
        sender = await start_sender(2, port=broker.port)
        sender.publish()
        await eventually_async(lambda: broker.kinds(QOS_2_PUBLISH), what="the reading")
        answer(broker, PUBREC, published_id(broker.kinds(QOS_2_PUBLISH)[0]))
        await eventually_async(lambda: broker.kinds(PUBREL), what="a PUBREL")
        broker.cut()
        await eventually_async(
            lambda: len(broker.kinds(QOS_2_PUBLISH)) == 2, what="the reading once more"
        )
        assert sender.acknowledged == []
        assert sender.counters.republished == [0, 0, 1]
        again = published_id(broker.kinds(QOS_2_PUBLISH)[1])
        answer(broker, PUBREC, again)
        answer(broker, PUBCOMP, again)
        await eventually_async(lambda: sender.acknowledged == [0], what="the acknowledgement")


async def test_every_connection_is_a_clean_start_with_at_most_20_in_flight(
    start_sender: StartSender,
) -> None:
    status = Status("status/home/a", 1, 5, "machine")
    async with scripted_broker() as broker:
        sender = await start_sender(1, port=broker.port, status=status)
        for _ in range(50):
            sender.publish()
        await eventually_async(lambda: len(broker.kinds(QOS_1_PUBLISH)) >= 19, what="readings")
        broker.cut()
        await eventually_async(lambda: broker.connects == 2, what="a second connection")
        await eventually_async(lambda: len(broker.kinds(QOS_1_PUBLISH)) >= 38, what="readings")
        again = broker.kinds(QOS_1_PUBLISH)[19]
        answer(broker, PUBACK, published_id(again))
        await eventually_async(lambda: sender.acknowledged == [0], what="the acknowledgement")
        await eventually_async(lambda: len(broker.kinds(QOS_1_PUBLISH)) == 39, what="the next one")
        for connect in broker.kinds(CONNECT):
            flags = connect.body[7]
            assert flags & 0x02, "clean start"
            assert flags & 0x04, "a last will"
            assert flags & 0x20, "a retained one"


async def test_a_device_that_leaves_says_offline_and_goodbye(start_sender: StartSender) -> None:
    status = Status("status/home/a", 1, 5, "machine")
    async with scripted_broker() as broker:
        sender = await start_sender(1, port=broker.port, status=status)
        await eventually_async(lambda: broker.kinds(RETAINED_PUBLISH), what="the retained online")
        online = broker.kinds(RETAINED_PUBLISH)[0]
        answer(broker, PUBACK, published_id(online))
        await eventually_async(lambda: sender.uplink.connected, what="a connection")
        leaving = asyncio.create_task(sender.uplink.leave())
        await eventually_async(
            lambda: len(broker.kinds(RETAINED_PUBLISH)) == 2, what="the retained offline"
        )
        assert not broker.kinds(DISCONNECT), "before the broker has taken it"
        answer(broker, PUBACK, published_id(broker.kinds(RETAINED_PUBLISH)[1]))
        await leaving
        said = [one.body[one.body.index(b"{") :] for one in broker.kinds(RETAINED_PUBLISH)]
        assert [msgspec.json.decode(one)["state"] for one in said] == ["online", "offline"]
        await eventually_async(lambda: broker.kinds(DISCONNECT), what="a DISCONNECT")
        assert sender.counters.lost_connections == 0


@pytest.mark.parametrize("qos", [0, 1])
async def test_what_a_full_socket_does_not_take_at_once_arrives_whole_and_in_order(
    broker: Broker, start_sender: StartSender, listen: Callable[..., Listener], qos: QoS
) -> None:
    """The broker is halted until the socket takes only a part of a message."""
    broker.admit(["a"])
    listener = listen("telemetry/#")
    sender = await start_sender(
        qos, port=broker.port, password=broker.password("a"), keepalive_seconds=60
    )
    await eventually_async(lambda: sender.uplink.connected, what="a connection")
    os.kill(broker.pid, signal.SIGSTOP)
    sent = [b"%06d" % number + b"x" * 60_000 for number in range(150)]
    for payload in sent:
        sender.publish(payload=payload)
    os.kill(broker.pid, signal.SIGCONT)
    went = sum(sender.counters.published) if qos == 0 else len(sent[-100:])
    await eventually_async(lambda: len(listener.messages) >= went, what="the messages")
    got = listener.payloads(sender.topic)
    assert got == (sent[:went] if qos == 0 else got)
    assert all(len(payload) == 60_006 for payload in got)
    assert got == sorted(got)
    assert sender.counters.lost_connections == 0
