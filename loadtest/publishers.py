"""Users that publish readings over MQTT, as devices do, at a level of their own."""

import random
import ssl
import time
from typing import ClassVar

import gevent
from gevent.event import Event
from locust import task
from locust.contrib.mqtt import MqttUser
from locust.env import Environment
from locust.exception import StopUser
from locust.user.task import LOCUST_STATE_RUNNING, LOCUST_STATE_STOPPING, LOCUST_STATE_WAITING
from msgspec import Struct

from loadtest.devices import MEASUREMENT, SITE, Devices
from loadtest.mqtt_client import Answer, Client, NotConnected
from loadtest.pace import Pace, Tally
from loadtest.rows import MQTT, fire, ms_since
from loadtest.settings import LoadtestSettings
from telemetry.credentials import device_password
from telemetry.payload.native import encode_native
from telemetry.reading import Address, Reading, Value
from telemetry.tls import client_context
from telemetry.topics import READINGS, TopicTemplate

_TOPICS = TopicTemplate.parse(READINGS)
_NOBODY_GOT_IT = 0x10
_REFUSED = 0x80
_MOST_IN_FLIGHT = 20  # as a device keeps to by itself; more, a broker may lose at QoS 2
_HIGHEST_PACKET_ID = 65_535
_LAST_ANSWERS_SECONDS = 5.0
_PAUSE_SECONDS = 1.0
_KEEPALIVE_SECONDS = 30


class Sent(Struct, gc=False):
    """A message that waits for its answer."""

    began_s: float
    seq: int
    bytes: int


class Publisher(MqttUser):
    """A device: a connection of its own, readings at its pace, each answer noted."""

    abstract = True
    client_cls = Client
    client: Client
    # Locust's class declares them by the default alone.
    client_id: str  # type: ignore[assignment]
    username: str  # type: ignore[assignment]
    password: str  # type: ignore[assignment]
    tls_context: ssl.SSLContext | None  # type: ignore[assignment]
    settings: ClassVar[LoadtestSettings]
    devices: ClassVar[Devices]
    tally: ClassVar[Tally]
    levels: ClassVar[tuple[int, ...]] = (0, 1, 2)
    rate = 1.0

    def __init__(self, environment: Environment) -> None:
        assert self.settings.fleet_key is not None, "publishers without the fleet's key"
        # Locust's page may set a host for all users, and means the API.
        self.host = self.settings.broker_host
        self.number = self.devices.take()
        self.device = self.client_id = self.username = self.devices.name(self.number)
        self.password = device_password(self.settings.fleet_key.value, self.device)
        super().__init__(environment)
        self.client.answer, self.client.lost = self._on_answer, self._on_lost
        self.qos = self.levels[self.number % len(self.levels)]
        self._name = f"publish:qos{self.qos}"
        self._topic = _TOPICS.topic(Address(SITE, self.device, MEASUREMENT)).encode()
        self._sent: dict[int, Sent] = {}
        self._room = Event()
        self._connected = False
        self._packet_id = self._seq = self._time_ms = 0

    def on_start(self) -> None:
        """Boot: connect, and open a session in the ledger."""
        self._boot_ms = self.devices.boot_ms()
        self._session = self.devices.ledger.open_session(
            site=SITE, device=self.device, boot_ms=self._boot_ms, qos=self.qos
        )
        self._pace = Pace(self.tally, self.rate, random.random())  # noqa: S311
        self._connect()

    def on_stop(self) -> None:
        """Wait for the last answers, and leave."""
        self._pace.end()
        deadline = time.monotonic() + _LAST_ANSWERS_SECONDS
        while self._sent and self._connected and time.monotonic() < deadline:
            self._room.clear()
            self._room.wait(0.1)
        self.client.leave()
        self._give_up("no answer before the end")
        self.devices.give_back(self.number)

    @task
    def publish(self) -> None:
        """Publish what is due until the user is stopped.

        One task of Locust's for each reading would cost as much as the reading itself.
        """
        while self._state != LOCUST_STATE_STOPPING:
            wait_seconds = self._pace.wait_seconds(done=self.step())
            if self._state == LOCUST_STATE_STOPPING:
                break
            self._state = LOCUST_STATE_WAITING
            gevent.sleep(wait_seconds)
            self._state = LOCUST_STATE_RUNNING
        raise StopUser

    def step(self) -> bool:
        """Do what is due once, and return whether it could be done."""
        if not self._connected:
            self._connect()
        return self.publish_reading() is not None

    def publish_reading(self) -> int | None:
        """Publish a reading, and return its time; None where there is no connection."""
        while self._connected and len(self._sent) >= _MOST_IN_FLIGHT:
            self._room.clear()
            self._room.wait(_PAUSE_SECONDS)
        seq, time_ms, payload = self._next_reading()
        if not self._connected:
            self.devices.ledger.dropped(self._session, seq)
            self._fire(self._name, 0, 0, "not connected")
            return None
        began_s = time.perf_counter()
        packet_id = self._next_packet_id() if self.qos else 0
        if self.qos:
            self._sent[packet_id] = Sent(began_s, seq, len(payload))
        if self.client.send(packet_id, self._topic, payload, self.qos) and not self.qos:
            # Nothing answers: what is measured is the way into the socket.
            self._fire(self._name, ms_since(began_s), len(payload))
        return time_ms

    def _next_reading(self) -> tuple[int, int, bytes]:
        seq = self._seq
        self._seq += 1
        self._time_ms = time_ms = max(time.time_ns() // 1_000_000, self._time_ms + 1)
        self.devices.ledger.offered(self._session, seq, time_ms, MEASUREMENT)
        values: dict[str, Value] = {"value": float(time_ms)}
        reading = Reading(SITE, self.device, MEASUREMENT, time_ms, values, self._boot_ms, seq)
        return seq, time_ms, encode_native(reading)

    def _next_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % _HIGHEST_PACKET_ID + 1
            if self._packet_id not in self._sent:
                return self._packet_id

    def _connect(self) -> None:
        began_s = time.perf_counter()
        try:
            self.client.dial(
                keepalive_seconds=_KEEPALIVE_SECONDS,
                timeout_seconds=self.settings.timeout_seconds,
            )
        except NotConnected as error:
            self._fire("connect", ms_since(began_s), 0, str(error))
            gevent.sleep(_PAUSE_SECONDS)
            return
        self._connected = True
        self._fire("connect", ms_since(began_s), 0)

    def _on_answer(self, kind: Answer, packet_id: int, reason: int) -> None:
        if kind == "PUBREC" and reason < _REFUSED:
            return
        sent = self._sent.pop(packet_id, None)
        if sent is None:
            return
        self._room.set()
        elapsed_ms = ms_since(sent.began_s)
        if reason >= _REFUSED or reason == _NOBODY_GOT_IT:
            self.devices.ledger.refused(self._session, sent.seq)
            self._fire(self._name, elapsed_ms, sent.bytes, f"the broker answers {reason:#04x}")
        else:
            self.devices.ledger.acknowledged(self._session, sent.seq)
            self._fire(self._name, elapsed_ms, sent.bytes)

    def _on_lost(self) -> None:
        self._connected = False
        self._give_up("the connection was lost")
        self._room.set()

    def _give_up(self, why: str) -> None:
        """Report what was sent and not answered; whether it arrived nobody knows."""
        for sent in self._sent.values():
            self._fire(self._name, ms_since(sent.began_s), sent.bytes, why)
        self._sent.clear()

    def _fire(self, name: str, elapsed_ms: float, size: int, why: str | None = None) -> None:
        fire(self.environment, MQTT, name, elapsed_ms, size, why)


def publisher_class(settings: LoadtestSettings, devices: Devices) -> type[Publisher]:
    """Return the publishers of one run."""

    class MqttPublisher(Publisher):
        abstract = False
        weight = settings.publishers
        rate = settings.publisher_rate
        levels = settings.levels
        tally = Tally()

    equip(MqttPublisher, settings, devices)
    return MqttPublisher


def equip(user: type[Publisher], settings: LoadtestSettings, devices: Devices) -> None:
    """Tell a class of users where the broker is, and who they are there."""
    user.settings, user.devices = settings, devices
    user.port = settings.broker_port
    user.tls_context = client_context(settings)
