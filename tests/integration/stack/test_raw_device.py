"""A device below any library, on a real Mosquitto."""

import pytest

from stack.broker import Broker
from stack.faults import packets
from stack.faults.raw_device import Disconnected, RawClient, RawDevice
from stack.local import LocalStack
from telemetry.ledger import read_ledger

NO_SUBSCRIBER = 0x10


def test_a_publish_is_answered_at_each_level(broker: Broker) -> None:
    broker.admit(["odd-1"])
    with RawClient.of(broker, "odd-1") as client:
        topic = "telemetry/faults/odd-1/m"

        assert client.publish(topic, b"{}", 0) == packets.SUCCESS
        assert client.publish(topic, b"{}", 1) == NO_SUBSCRIBER
        assert client.publish(topic, b"{}", 2) == packets.SUCCESS
        assert client.publish_all([(topic, b"{}")] * 50, 2) == 0


def test_a_refusal_is_told_with_its_reason(broker: Broker) -> None:
    broker.admit(["odd-1"])
    with RawClient.of(broker, "odd-1") as client:
        assert client.publish("telemetry/faults/odd-2/m", b"{}", 1) == 0x87
        assert client.publish("telemetry/faults/odd-2/m", b"{}", 2) == 0x87


def test_an_end_of_the_connection_is_told_with_its_reason(broker: Broker) -> None:
    broker.admit(["odd-1"])
    with RawClient.of(broker, "odd-1") as client, pytest.raises(Disconnected) as ended:
        client.publish("telemetry/faults/odd-1/m", bytes(70_000), 1)

    assert ended.value.reason == packets.PACKET_TOO_LARGE


def test_what_a_raw_device_publishes_stands_in_the_ledger(
    local: LocalStack, broker: Broker
) -> None:
    with RawDevice(local, broker, "odd-1", qos=2) as device:
        device.publish("m", {"value": 1.0}, time_ms=1000)
        device.offer("m", 2000)

    (session,) = read_ledger([local.ledger_folder]).sessions
    assert (session.device, session.qos, list(session.times_ms)) == ("odd-1", 2, [1000, 2000])
