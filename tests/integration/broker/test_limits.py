"""What a real Mosquitto keeps for an ingest that is away, and what it asks of its clients."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import access
from broker.configuration import (
    QUEUED_MESSAGE_DISK_BYTES,
    QUEUED_MESSAGE_MEMORY_BYTES,
    BrokerLimits,
    Load,
)
from stack.broker import Broker
from stack.local import LocalStack
from tests.eventually import eventually

LOAD = Load(readings_per_second=50, outage_seconds=10, payload_bytes=100, devices=10)
TOPIC = "telemetry/site/a/weather"


class Away:
    """A durable session like ingest's, which is away most of the time."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        with self.connected():
            pass

    @contextmanager
    def connected(self) -> Iterator[list[MQTTMessage]]:
        received: list[MQTTMessage] = []
        subscribed: list[int] = []
        client = _client(self._broker, access.INGEST, "ingest-1")
        client.on_message = lambda _client, _data, message: received.append(message)
        client.on_subscribe = lambda _client, _data, number, _reasons, _more: subscribed.append(
            number
        )
        lasting = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        lasting.SessionExpiryInterval = 3600
        client.connect(self._broker.host, self._broker.port, clean_start=False, properties=lasting)
        client.loop_start()
        eventually(client.is_connected)
        client.subscribe("telemetry/#", qos=2)
        eventually(lambda: subscribed, what="a subscription")
        yield received
        client.disconnect()
        client.loop_stop()


def _client(broker: Broker, user: str, client_id: str) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5
    )
    client.username_pw_set(user, broker.password(user))
    return client


def publish(broker: Broker, *, qos: int, count: int, payload: bytes) -> None:
    """Publish at most 20 at a time, and wait until the broker has acknowledged all."""
    client = _client(broker, "a", "a")
    client.connect(broker.host, broker.port)
    client.loop_start()
    sent = [client.publish(TOPIC, payload, qos=qos) for _ in range(count)]
    # Nothing answers at QoS 0: what the broker took before this one it has taken.
    sent.append(client.publish("status/site/a", b"", qos=1))
    for one in sent:
        one.wait_for_publish(10)
    client.disconnect()
    client.loop_stop()


def kept(away: Away, at_least: int) -> int:
    """Return how many messages the session gets, up to one that is published when it is back."""
    with away.connected() as received:
        # Before, the queue may be full, and that one would be lost itself.
        eventually(lambda: len(received) >= at_least, what=f"{at_least} messages")
        publish(away._broker, qos=1, count=1, payload=b"last")
        eventually(lambda: received and received[-1].payload == b"last", what="the last one")
    return len(received) - 1


@pytest.fixture
def small(local: LocalStack) -> Broker:
    """A broker for a small load."""
    broker = local.start_broker(limits=BrokerLimits.for_load(LOAD))
    broker.admit(["a"])
    return broker


@pytest.mark.parametrize("qos", [1, 2])
def test_the_queue_holds_what_comes_during_the_outage_and_then_loses_the_newest(
    small: Broker, qos: int
) -> None:
    away = Away(small)
    publish(small, qos=qos, count=LOAD.queued_messages, payload=b"x" * LOAD.payload_bytes)
    publish(small, qos=qos, count=50, payload=b"late")
    assert kept(away, LOAD.queued_messages) == LOAD.queued_messages


def test_the_queue_is_bounded_in_bytes_as_well(small: Broker) -> None:
    away = Away(small)
    large = 20 * LOAD.payload_bytes
    publish(small, qos=1, count=100, payload=b"x" * large)
    expected = LOAD.queued_bytes // large
    assert kept(away, expected) == pytest.approx(expected, abs=2)


def test_at_qos_0_nothing_waits_for_who_is_away(small: Broker) -> None:
    away = Away(small)
    publish(small, qos=0, count=50, payload=b"x")
    assert kept(away, 0) == 0


def test_a_queued_message_takes_the_memory_and_the_disk_that_limits_reckon_with(
    local: LocalStack,
) -> None:
    broker = local.start_broker()
    broker.admit(["a"])
    Away(broker)
    publish(broker, qos=1, count=100, payload=b"x" * 100)
    before, count, payload_bytes = broker.usage().resident_bytes, 10_000, 300
    for _ in range(count // 100):
        publish(broker, qos=1, count=100, payload=b"x" * payload_bytes)
    memory = (broker.usage().resident_bytes - before) / count - payload_bytes
    assert memory == pytest.approx(QUEUED_MESSAGE_MEMORY_BYTES, rel=0.2)
    broker.stop()
    saved = broker.configuration.persistence_folder / "mosquitto.db"
    disk = saved.stat().st_size / count - payload_bytes
    assert disk == pytest.approx(QUEUED_MESSAGE_DISK_BYTES, rel=0.2)


def connack(broker: Broker, keepalive_seconds: int) -> bytes:
    """Return the broker's whole answer to an MQTT 5 CONNECT."""

    def text(of: str) -> bytes:
        return struct.pack("!H", len(of)) + of.encode()

    head = text("MQTT") + struct.pack("!BBHB", 5, 0xC2, keepalive_seconds, 0)
    body = head + text("a") + text("a") + text(broker.password("a"))
    with socket.create_connection((broker.host, broker.port), timeout=5) as connection:
        connection.sendall(bytes((0x10, len(body))) + body)
        return connection.recv(100)


@pytest.mark.parametrize(("asked", "told"), [(0, True), (61, True), (60, False)])
def test_an_mqtt_5_client_without_keepalive_or_with_a_longer_one_is_given_the_longest(
    small: Broker, asked: int, told: bool
) -> None:
    server_keep_alive = struct.pack("!BH", 0x13, small.configuration.limits.max_keepalive_seconds)
    answer = connack(small, asked)
    assert answer[3] == 0
    assert (server_keep_alive in answer) == told
