"""How long a device believes in a connection, and what it takes from the broker's CONNACK."""

import asyncio
import struct
import time

import pytest

from sensors.fleetfile import QoS
from sensors.uplink import Status
from tests.eventually import STALL_SECONDS, eventually_async, passing
from tests.integration.sensors.answers import (
    QOS_1_PUBLISH,
    QOS_2_PUBLISH,
    RETAINED_PUBLISH,
    answer,
    published_id,
)
from tests.integration.sensors.conftest import StartSender
from tests.scripted_broker import DISCONNECT, PINGREQ, PUBACK, scripted_broker

KEEPALIVE_SECONDS = 4
RECEIVE_MAXIMUM, SERVER_KEEP_ALIVE, MAXIMUM_QOS = 0x21, 0x13, 0x24


async def seconds_until_noticed(start_sender: StartSender, qos: QoS, *, idle: bool) -> float:
    """Return how long a device went on with a broker that fell silent, sending readings or not.

    Less the time for which this process stood still.
    """
    async with scripted_broker() as broker:
        broker.answers.discard(PINGREQ)
        sender = await start_sender(qos, port=broker.port, keepalive_seconds=KEEPALIVE_SECONDS)
        await eventually_async(lambda: sender.uplink.connected, what="a connection")
        began, stood_still = time.monotonic(), 0.0
        while not sender.counters.lost_connections:
            if not idle:
                sender.publish()
            stood_still += await passing(0.05)
            assert time.monotonic() - began - stood_still < 3 * KEEPALIVE_SECONDS
        return time.monotonic() - began - stood_still


async def test_a_link_that_went_dead_is_noticed_within_one_and_a_half_keepalives(
    start_sender: StartSender,
) -> None:
    """Whatever the device itself sends into it."""
    noticed = await asyncio.gather(
        seconds_until_noticed(start_sender, 0, idle=True),
        seconds_until_noticed(start_sender, 0, idle=False),
        seconds_until_noticed(start_sender, 1, idle=False),
        seconds_until_noticed(start_sender, 2, idle=False),
    )
    # A busy machine is late; twice a keepalive would be another rule.
    assert max(noticed) <= 1.5 * KEEPALIVE_SECONDS + 1.0


async def test_an_idle_link_is_kept_by_pings(start_sender: StartSender) -> None:
    async with scripted_broker() as broker:
        sender = await start_sender(0, port=broker.port, keepalive_seconds=1)
        await eventually_async(lambda: len(broker.kinds(PINGREQ)) >= 5, what="five pings")
        assert sender.counters.lost_connections == 0


async def test_the_brokers_shorter_keepalive_is_kept(start_sender: StartSender) -> None:
    """Mosquitto asks for its max_keepalive where a client's is longer (MQTT 5, 3.2.2.3.14)."""
    async with scripted_broker() as broker:
        broker.connack_properties = struct.pack("!BH", SERVER_KEEP_ALIVE, 1)
        sender = await start_sender(0, port=broker.port, keepalive_seconds=600)
        await eventually_async(lambda: sender.uplink.connected, what="a connection")
        await eventually_async(
            lambda: len(broker.kinds(PINGREQ)) >= 3,
            deadline_seconds=3 + STALL_SECONDS,
            what="three pings",
        )


@pytest.mark.parametrize("receive_maximum", [1, 2, 5])
async def test_no_more_is_in_flight_than_the_broker_receives_the_status_included(
    start_sender: StartSender, receive_maximum: int
) -> None:
    """[MQTT-3.3.4-9]: a client sends no more than Receive Maximum unanswered PUBLISH packets."""
    status = Status("status/home/a", 1, 5, "machine")
    async with scripted_broker() as broker:
        broker.connack_properties = struct.pack("!BH", RECEIVE_MAXIMUM, receive_maximum)
        sender = await start_sender(1, port=broker.port, status=status, keepalive_seconds=1)
        readings = [sender.publish() for _ in range(2 * receive_maximum)]
        # What was sent before a ping has been seen once the ping has.
        await eventually_async(lambda: broker.kinds(PINGREQ), what="a ping")
        assert len(broker.kinds(QOS_1_PUBLISH, RETAINED_PUBLISH)) == receive_maximum
        answered: set[int] = set()

        def acknowledges_all() -> bool:
            for one in broker.kinds(QOS_1_PUBLISH, RETAINED_PUBLISH):
                if published_id(one) not in answered:
                    answered.add(published_id(one))
                    answer(broker, PUBACK, published_id(one))
            return sender.acknowledged == readings

        await eventually_async(acknowledges_all, what="the acknowledgements")


async def test_a_leaving_device_says_offline_once_the_broker_has_room_for_it(
    start_sender: StartSender,
) -> None:
    status = Status("status/home/a", 1, 5, "machine")
    async with scripted_broker() as broker, asyncio.TaskGroup() as tasks:
        broker.connack_properties = struct.pack("!BH", RECEIVE_MAXIMUM, 1)
        sender = await start_sender(1, port=broker.port, status=status, keepalive_seconds=1)
        await eventually_async(lambda: broker.kinds(RETAINED_PUBLISH), what="the online status")
        answer(broker, PUBACK, published_id(broker.kinds(RETAINED_PUBLISH)[0]))
        for _ in range(2):
            sender.publish()
        await eventually_async(lambda: broker.kinds(QOS_1_PUBLISH), what="the first reading")
        tasks.create_task(sender.uplink.leave())
        await eventually_async(lambda: broker.kinds(PINGREQ), what="a ping")
        assert len(broker.kinds(RETAINED_PUBLISH)) == 1
        answer(broker, PUBACK, published_id(broker.kinds(QOS_1_PUBLISH)[0]))
        await eventually_async(lambda: len(broker.kinds(RETAINED_PUBLISH)) == 2, what="offline")
        answer(broker, PUBACK, published_id(broker.kinds(RETAINED_PUBLISH)[1]))
        await eventually_async(lambda: broker.kinds(DISCONNECT), what="a DISCONNECT")
    assert len(broker.kinds(QOS_1_PUBLISH)) == 1, "no reading leaves any more"
    assert sender.uplink.unfinished == 1


async def test_a_broker_without_qos_2_is_a_refusal_and_is_sent_none(
    start_sender: StartSender,
) -> None:
    """[MQTT-3.2.2-11]: a client sends no PUBLISH above the Maximum QoS of CONNACK."""
    async with scripted_broker() as broker:
        broker.connack_properties = struct.pack("!BB", MAXIMUM_QOS, 1)
        sender = await start_sender(2, port=broker.port)
        sender.publish()
        await eventually_async(
            lambda: sender.counters.connect_failures["refused"] >= 2, what="two refusals"
        )
        assert broker.kinds(QOS_2_PUBLISH) == []
        assert sender.uplink.unfinished == 1
