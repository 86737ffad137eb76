"""Devices before a real Mosquitto, and somebody who listens to them."""

import ssl
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Protocol

import pytest
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broker import access
from sensors.counters import Counters
from sensors.fleetfile import QoS
from sensors.keeping import Keeping
from sensors.uplink import Sender, Status
from sensors.ways.mqtt.dialler import Broker as BrokerAddress
from sensors.ways.mqtt.dialler import Dialler
from sensors.ways.mqtt.uplink import MqttUplink
from stack.broker import Broker
from tests.eventually import eventually
from tests.fleets import PATIENT
from tests.uplinks import Noted, Publisher, in_background, shared


class Listener:
    """Subscribes as the API does, again after each connect, and keeps what it gets."""

    def __init__(self, broker: Broker, *topics: str) -> None:
        self.messages: list[MQTTMessage] = []
        self.subscribed = False
        self._topics = [(topic, 2) for topic in topics]
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(access.API, broker.password(access.API))
        if broker.client_tls is not None:
            self._client.tls_set_context(broker.client_tls.context())
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = self._note_subscription
        self._client.on_message = lambda _client, _data, message: self.messages.append(message)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        eventually(lambda: self.subscribed, what="a subscription")

    def payloads(self, topic: str) -> list[bytes]:
        return [bytes(message.payload) for message in self.messages if message.topic == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(
        self,
        client: Client,
        _data: object,
        _flags: ConnectFlags,
        _reason: ReasonCode,
        _more: Properties | None,
    ) -> None:
        client.subscribe(self._topics)

    def _note_subscription(
        self,
        _client: Client,
        _data: object,
        _number: int,
        _reasons: list[ReasonCode],
        _more: Properties | None,
    ) -> None:
        self.subscribed = True


@pytest.fixture
def listen(broker: Broker) -> Iterator[Callable[..., Listener]]:
    """Return what makes listeners to topics; they are gone at the end of the test."""
    listeners: list[Listener] = []

    def make(*topics: str) -> Listener:
        listeners.append(Listener(broker, *topics))
        return listeners[-1]

    yield make
    for listener in listeners:
        listener.close()


class StartSender(Protocol):
    async def __call__(
        self,
        qos: QoS,
        *,
        port: int,
        password: str = "",
        status: Status | None = None,
        outbox_readings: int = 100,
        keepalive_seconds: int = 10,
        timeout_seconds: float = 2.0,
        keeping: Keeping | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Publisher: ...


@pytest.fixture
async def start_sender() -> AsyncIterator[StartSender]:
    """Return what starts the device `a` at home, in this process."""
    async with AsyncExitStack() as running:

        async def start(
            qos: QoS,
            *,
            port: int,
            password: str = "",
            status: Status | None = None,
            outbox_readings: int = 100,
            keepalive_seconds: int = 10,
            timeout_seconds: float = 2.0,
            keeping: Keeping | None = None,
            tls: ssl.SSLContext | None = None,
        ) -> Publisher:
            counters, noted = Counters(), Noted()
            address = BrokerAddress("127.0.0.1", port, keepalive_seconds, timeout_seconds, tls)
            dialler = Dialler(address, 4)
            running.callback(dialler.shut)
            await running.enter_async_context(in_background(dialler.keep_alive()))
            device = Sender("a", "home", qos, status=status)
            of_device = shared(counters, noted, outbox_readings, keeping)
            uplink = MqttUplink(device, password, dialler, of_device)
            if keeping is not None:
                uplink.take_over(keeping.left().get("a", array("Q")))
            await running.enter_async_context(in_background(uplink.keep_connected()))
            return Publisher(uplink, counters, noted, keeping)

        yield start


@pytest.fixture
def fleet_file(tmp_path: Path) -> Path:
    """A small fast fleet at all levels."""
    path = tmp_path / "small.toml"
    path.write_text(
        '[fleet]\nname = "small"\nseed = 1\n[[groups]]\nname = "d"\ncount = 12\nsite = "home"\n'
        'profile = "weather-station"\nqos = [0, 1, 2]\nperiod_ms = 100\n'
        f"[run]\n{PATIENT}"
    )
    return path
