"""Who may do what at a real Mosquitto."""

from collections.abc import Iterator

import pytest

from broker import access, probe
from stack.broker import Broker
from tests.eventually import eventually
from tests.integration.broker.people import NOT_AUTHORIZED, SUCCESS, Room


@pytest.fixture
def room(broker: Broker) -> Iterator[Room]:
    room = Room(broker)
    yield room
    room.close()


def test_nobody_connects_without_a_name(broker: Broker) -> None:
    assert probe.connect_reason(broker.host, broker.port, None, None) == probe.NOT_AUTHORIZED


@pytest.mark.parametrize("user", [access.INGEST, access.API, "a", "unknown"])
def test_nobody_connects_with_a_wrong_password(broker: Broker, user: str) -> None:
    broker.admit(["a"])

    reason = probe.connect_reason(broker.host, broker.port, user, "wrong")

    assert reason == probe.NOT_AUTHORIZED


def test_a_device_connects_with_the_password_made_from_the_fleet_key(broker: Broker) -> None:
    assert not broker.takes("a")

    broker.admit(["a"])

    assert broker.takes("a")


def test_ten_thousand_devices_are_let_in_at_once(broker: Broker) -> None:
    devices = [f"device-{number}" for number in range(10_000)]

    broker.admit(devices)

    assert broker.takes(devices[0])
    assert broker.takes(devices[-1])


def test_letting_a_device_in_keeps_the_others_connected(room: Room) -> None:
    device = room.enter("a")

    room.broker.admit(["late"])

    assert device.publish("telemetry/site/a/weather") != NOT_AUTHORIZED
    assert device.ended == []


@pytest.mark.parametrize(
    "topic", ["telemetry/site/a/weather", "telemetry/site/a/x/y", "status/site/a", "reply/site/a/x"]
)
def test_a_device_publishes_under_its_own_name(room: Room, topic: str) -> None:
    api, device = room.enter(access.API), room.enter("a")
    api.subscribe("#")

    assert device.publish(topic) == SUCCESS

    eventually(lambda: api.topics() == [topic])


@pytest.mark.parametrize(
    "topic",
    [
        "telemetry/site/b/weather",
        "telemetry/a/b/weather",
        "status/site/b",
        "reply/site/b/x",
        "command/site/a/reboot",
        "elsewhere",
        "$SYS/broker/version",
    ],
)
def test_a_device_publishes_nowhere_else(room: Room, topic: str) -> None:
    device = room.enter("a")

    assert device.publish(topic) == NOT_AUTHORIZED


def test_a_device_hears_its_own_commands_and_nothing_else(room: Room) -> None:
    listener, other, api = room.enter("a"), room.enter("b"), room.enter(access.API)
    for topic_filter in ["telemetry/#", "status/#", "command/#", "reply/#", "$SYS/#", "#"]:
        listener.subscribe(topic_filter)

    other.publish("telemetry/site/b/weather")
    other.publish("status/site/b")
    api.publish("command/site/b/reboot")
    api.publish("command/site/a/reboot")

    eventually(listener.topics)
    assert set(listener.topics()) == {"command/site/a/reboot"}


def test_the_health_check_hears_the_brokers_version_and_nothing_else(room: Room) -> None:
    health, device = room.enter(access.HEALTH), room.enter("a")
    for topic_filter in ["telemetry/#", "status/#", "command/#", "reply/#", "#", "$SYS/#"]:
        health.subscribe(topic_filter)

    device.publish("telemetry/site/a/weather")
    device.publish("status/site/a")
    room.enter(access.API).publish("command/site/health/reboot")

    # The answer to this comes behind all that came before.
    health.subscribe("$SYS/broker/version")
    assert set(health.topics()) == {"$SYS/broker/version"}


@pytest.mark.parametrize(
    "topic",
    [
        "telemetry/site/health/weather",
        "status/site/health",
        "reply/site/health/x",
        "$SYS/broker/version",
    ],
)
def test_the_health_check_publishes_nothing(room: Room, topic: str) -> None:
    assert room.enter(access.HEALTH).publish(topic) == NOT_AUTHORIZED


def test_ingest_receives_readings_also_as_one_of_a_group(room: Room) -> None:
    ingest, device = room.enter(access.INGEST), room.enter("a")
    ingest.subscribe("$share/ingest/telemetry/#")

    device.publish("telemetry/site/a/weather")

    eventually(lambda: ingest.topics() == ["telemetry/site/a/weather"])


def test_ingest_sees_the_brokers_own_counters(room: Room) -> None:
    ingest = room.enter(access.INGEST)

    ingest.subscribe("$SYS/broker/version")

    eventually(lambda: ingest.topics() == ["$SYS/broker/version"])


@pytest.mark.parametrize(
    "topic",
    [
        "telemetry/site/a/weather",
        "telemetry/site/ingest/weather",
        "status/site/ingest",
        "command/site/a/reboot",
        "reply/site/ingest/x",
    ],
)
def test_ingest_publishes_nothing(room: Room, topic: str) -> None:
    assert room.enter(access.INGEST).publish(topic) == NOT_AUTHORIZED


def test_the_api_publishes_commands_and_its_own_figures(room: Room) -> None:
    ingest, api, device = room.enter(access.INGEST), room.enter(access.API), room.enter("a")
    ingest.subscribe("telemetry/#")
    device.subscribe("command/site/a/#")

    assert api.publish("command/site/a/reboot") == SUCCESS
    for measurement in ("denyut_api", "denyut_commands"):
        assert api.publish(f"telemetry/denyut/api-1/{measurement}") == SUCCESS

    eventually(lambda: device.topics() == ["command/site/a/reboot"])
    own = [f"telemetry/denyut/api-1/denyut_{name}" for name in ("api", "commands")]
    eventually(lambda: ingest.topics() == own)


@pytest.mark.parametrize(
    "topic",
    [
        "telemetry/site/a/weather",
        "telemetry/site/api/weather",
        "telemetry/denyut/api-1/weather",
        "status/site/a",
        "status/site/api",
        "reply/site/a/x",
    ],
)
def test_the_api_publishes_no_readings_and_no_status(room: Room, topic: str) -> None:
    assert room.enter(access.API).publish(topic) == NOT_AUTHORIZED


def test_a_payload_of_the_largest_size_passes(room: Room) -> None:
    device = room.enter("a")
    payload = b"x" * room.broker.configuration.limits.max_payload_bytes

    assert device.publish("telemetry/site/a/weather", payload) != NOT_AUTHORIZED
    assert device.ended == []


def test_a_packet_over_the_limit_ends_the_connection_of_its_sender(room: Room) -> None:
    device, other = room.enter("a"), room.enter("b")
    payload = b"x" * room.broker.configuration.limits.max_packet_bytes

    device.client.publish("telemetry/site/a/weather", payload, qos=0)

    eventually(lambda: "Packet too large" in device.ended)
    assert other.publish("telemetry/site/b/weather") != NOT_AUTHORIZED
