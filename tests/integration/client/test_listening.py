"""A stream that goes on, and commands, through a real API and a real Mosquitto."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.broker import Broker
from stack.services import Service
from telemetry.client import Client, DeviceRefused, Feed, Reading, Status, Stream, TooSlow
from telemetry.client.events import Event
from tests.eventually import eventually
from tests.integration.api.test_service import STATUS, connected

INGEST_STATUS = "status/denyut/ingest-1"
OFFLINE = b'{"state":"offline"}'
ONLINE = b'{"state":"online","group":"","profile":"ingest"}'
TOPIC = "telemetry/hall/d1/weather"


@pytest.fixture
def device(mosquitto: Broker) -> Iterator[MqttClient]:
    """A device that is online, while an ingest has subscribed and says so."""
    with connected(mosquitto, "ingest") as ingest, connected(mosquitto, "d1") as found:
        ingest.subscribe("telemetry/#", qos=1)
        ingest.publish(INGEST_STATUS, ONLINE, qos=1, retain=True).wait_for_publish(5)
        found.publish("status/hall/d1", STATUS, qos=1, retain=True).wait_for_publish(5)
        yield found


@contextmanager
def heard(stream: Stream) -> Iterator[list[Event]]:
    """What a thread of its own hears meanwhile."""
    events: list[Event] = []

    def listen() -> None:
        for event in stream:
            events.append(event)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield events
    finally:
        stream.close()
        thread.join(10)
        assert not thread.is_alive(), "a stream that is closed ends"


def is_live(events: list[Event]) -> bool:
    return [event.live for event in events if isinstance(event, Feed)][-1:] == [True]


def seqs(events: list[Event]) -> list[int | None]:
    return [event.seq for event in events if isinstance(event, Reading)]


def states(events: list[Event]) -> list[str]:
    return [event.state for event in events if isinstance(event, Status)]


def publish(device: MqttClient, seq: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    payload = {"ts": now_ms, "values": {"t": 21.5}, "boot": now_ms, "seq": seq}
    device.publish(TOPIC, msgspec.json.encode(payload), qos=1).wait_for_publish(5)


def test_readings_and_states_are_heard_as_they_happen(client: Client, device: MqttClient) -> None:
    with client.stream(device="d1") as stream, heard(stream) as events:
        eventually(lambda: is_live(events))
        publish(device, 7)
        device.publish("status/hall/d1", OFFLINE, qos=1, retain=True)
        eventually(lambda: seqs(events) == [7])
        # What was told shortly before the stream began may be heard as well.
        eventually(lambda: states(events)[-1:] == ["offline"])
        assert stream.last_event_id is not None


def test_a_stream_goes_on_after_the_api_was_away(
    api: Service, client: Client, device: MqttClient
) -> None:
    with client.stream(device="d1", kinds="readings") as stream, heard(stream) as events:
        eventually(lambda: is_live(events))
        api.restart()
        eventually(lambda: stream.reconnects, deadline_seconds=30)
        eventually(lambda: sum(isinstance(event, Feed) for event in events) >= 2)
        eventually(lambda: is_live(events))
        publish(device, 8)
        eventually(lambda: 8 in seqs(events), deadline_seconds=30)


def test_a_silent_connection_is_opened_anew(client: Client, device: MqttClient) -> None:
    assert device.is_connected()
    with client.stream(silence_seconds=0.2) as stream, heard(stream):
        eventually(lambda: stream.reconnects >= 1, what="another connection")


def test_a_later_stream_goes_on_from_an_id(client: Client, device: MqttClient) -> None:
    with client.stream(kinds="status") as stream:
        next(stream)
        last_id = stream.last_event_id
    for status in (OFFLINE, STATUS):
        device.publish("status/hall/d1", status, qos=1, retain=True).wait_for_publish(5)
    eventually(lambda: client.device("d1").state == "online")
    with client.stream(kinds="status", device="d1", last_event_id=last_id) as later:
        assert isinstance(next(later), Feed)
        state = next(later)
        assert isinstance(state, Status)
        assert (state.device, state.state) == ("d1", "online")


def answering(device: MqttClient, answer: bytes) -> None:
    """Let a device answer each command so."""

    def on_message(client: MqttClient, _userdata: object, message: MQTTMessage) -> None:
        asked: Any = message.properties
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.CorrelationData = asked.CorrelationData
        client.publish(asked.ResponseTopic, answer, qos=1, properties=properties)

    subscribed = threading.Event()
    device.on_message = on_message
    device.on_subscribe = lambda *_: subscribed.set()
    device.subscribe("command/hall/d1/#", qos=1)
    assert subscribed.wait(10)


def test_a_command_returns_what_the_device_answers(client: Client, device: MqttClient) -> None:
    answering(device, b'{"ok":true,"period_ms":500}')
    eventually(lambda: client.device("d1").state == "online")
    told = client.command("d1", "set-period", {"period_ms": 500})
    assert (told.device, told.name, told.answer) == ("d1", "set-period", {"period_ms": 500})


def test_a_device_that_refuses_or_is_silent_is_an_exception(
    client: Client, device: MqttClient
) -> None:
    answering(device, b'{"ok":false,"error":"not now"}')
    eventually(lambda: client.device("d1").state == "online")
    with pytest.raises(DeviceRefused, match="not now"):
        client.command("d1", "reboot")
    device.on_message = lambda *_: None
    with pytest.raises(TooSlow):
        client.command("d1", "reboot")
