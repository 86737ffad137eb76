"""A stream that goes on, and commands, through a real API and a real Mosquitto."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

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


class Heard(NamedTuple):
    """An event, and how often the stream had been opened again before it."""

    reconnects: int
    event: Event


@pytest.fixture
def device(mosquitto: Broker, client: Client) -> Iterator[MqttClient]:
    """A device that is online, as the API knows, while an ingest has subscribed and says so."""
    with connected(mosquitto, "ingest") as ingest, connected(mosquitto, "d1") as found:
        ingest.subscribe("telemetry/#", qos=1)
        ingest.publish(INGEST_STATUS, ONLINE, qos=1, retain=True).wait_for_publish(5)
        tell(client, found, "online")
        yield found


def tell(client: Client, device: MqttClient, state: str) -> None:
    """Let the device say its state, and wait until the API has heard that."""
    said = STATUS if state == "online" else OFFLINE
    device.publish("status/hall/d1", said, qos=1, retain=True).wait_for_publish(5)
    eventually(lambda: client.device("d1").state == state, what=f"a device that is {state}")


@contextmanager
def listening(stream: Stream) -> Iterator[list[Heard]]:
    """What a thread of its own hears meanwhile."""
    heard: list[Heard] = []

    def listen() -> None:
        for event in stream:
            heard.append(Heard(stream.reconnects, event))

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield heard
    finally:
        stream.close()
        thread.join(10)
        assert not thread.is_alive(), "a stream that is closed ends"


def is_live(heard: list[Heard], *, reconnects: int = 0) -> bool:
    """Tell whether the last word of the feed is so, over a connection opened so often again."""
    told = [
        event.live for opened, event in heard if opened >= reconnects and isinstance(event, Feed)
    ]
    return told[-1:] == [True]


def seqs(heard: list[Heard]) -> list[int | None]:
    return [event.seq for _, event in heard if isinstance(event, Reading)]


def states(heard: list[Heard]) -> list[str]:
    return [event.state for _, event in heard if isinstance(event, Status)]


def publish(device: MqttClient, seq: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    payload = {"ts": now_ms, "values": {"t": 21.5}, "boot": now_ms, "seq": seq}
    device.publish(TOPIC, msgspec.json.encode(payload), qos=1).wait_for_publish(5)


def test_readings_and_states_are_heard_as_they_happen(client: Client, device: MqttClient) -> None:
    with client.stream(device="d1") as stream, listening(stream) as heard:
        eventually(lambda: is_live(heard))
        publish(device, 7)
        tell(client, device, "offline")
        eventually(lambda: seqs(heard) == [7])
        # What was told shortly before the stream began may be heard as well.
        eventually(lambda: states(heard)[-1:] == ["offline"])
        assert stream.last_event_id is not None


def test_a_stream_goes_on_after_the_api_was_away(
    api: Service, client: Client, device: MqttClient
) -> None:
    with client.stream(device="d1", kinds="readings") as stream, listening(stream) as heard:
        eventually(lambda: is_live(heard))
        api.restart()
        # Not what the API said that has gone.
        eventually(lambda: is_live(heard, reconnects=1), deadline_seconds=30)
        publish(device, 8)
        eventually(lambda: 8 in seqs(heard), deadline_seconds=30)


def test_a_silent_connection_is_opened_anew(client: Client, device: MqttClient) -> None:
    assert device.is_connected()
    with client.stream(silence_seconds=0.2) as stream, listening(stream):
        eventually(lambda: stream.reconnects >= 1, what="another connection")


def test_a_later_stream_goes_on_from_an_id(client: Client, device: MqttClient) -> None:
    with client.stream(kinds="status") as stream:
        next(stream)
        last_id = stream.last_event_id
    for told in ("offline", "online"):
        tell(client, device, told)
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
    told = client.command("d1", "set-period", {"period_ms": 500})
    assert (told.device, told.name, told.answer) == ("d1", "set-period", {"period_ms": 500})


def test_a_device_that_refuses_or_is_silent_is_an_exception(
    client: Client, device: MqttClient
) -> None:
    answering(device, b'{"ok":false,"error":"not now"}')
    with pytest.raises(DeviceRefused, match="not now"):
        client.command("d1", "reboot")
    device.on_message = lambda *_: None
    with pytest.raises(TooSlow):
        client.command("d1", "reboot")
