"""The API's connection to the broker: it hears devices' states and publishes its own figures."""

import threading
from collections.abc import Callable, Iterable

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from api.broker_client import BrokerClient, client_id, make_client
from api.commands import Commands
from api.questions import now_ms
from api.settings import ApiSettings
from api.status_board import OWN_PREFIX, StatusBoard
from telemetry import log
from telemetry.metrics import Sample, as_values
from telemetry.topics import OWN_SITE

STATUSES = "status/+/+"
_LAST_FIGURES_SECONDS = 2.0

_log = log.get(__name__)


class BrokerLink:
    """An MQTT 5 client in a thread of its own, which connects again for as long as it runs.

    Raises SettingError where TLS is asked for and its files cannot be used.
    """

    def __init__(
        self,
        settings: ApiSettings,
        board: StatusBoard,
        commands: Commands,
        samples: Callable[[], Iterable[Sample]],
    ) -> None:
        self._settings = settings
        self._board = board
        self._commands = commands
        self._samples = samples
        self._figures_topic = f"telemetry/{OWN_SITE}/{settings.client_id}/{OWN_PREFIX}api"
        self._last_ms = 0
        self._stopping = threading.Event()
        self._figures_thread = threading.Thread(
            target=self._publish_figures, name="own-figures", daemon=True
        )
        self._client_id = client_id(settings)
        self._client = self._make_client()

    def start(self) -> None:
        """Begin to connect; returns at once, also where there is no broker yet."""
        self._commands.attach(self._client, self._client_id)
        self._client.begin(self._settings)
        self._figures_thread.start()

    def stop(self) -> None:
        """Disconnect and end both threads."""
        self._stopping.set()
        self._figures_thread.join(_LAST_FIGURES_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> BrokerClient:
        client = make_client(self._settings, self._client_id)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._commands.note_published
        return client

    def _on_connect(
        self,
        client: Client,
        _userdata: object,
        _flags: ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._board.link_down(f"refuses the connection: {reason}")
            _log.error("broker refuses the connection", reason=str(reason))
            return
        # A clean start knows no subscription, and the retained states come again with it.
        client.subscribe([(STATUSES, 1), (self._commands.replies, 1)])

    def _on_subscribe(
        self,
        _client: Client,
        _userdata: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self._board.link_down(f"refuses the subscription: {refused[0]}")
            _log.error("broker refuses the subscription", topic=STATUSES, reason=refused[0])
        else:
            self._board.link_up()
            _log.info("listening for states", topic=STATUSES)

    def _on_connect_fail(self, _client: Client, _userdata: object) -> None:
        problem, needs_person = self._client.trouble_of_connecting()
        self._board.link_down(problem)
        if problem != "cannot be reached":
            say = _log.error if needs_person else _log.warning
            say("no connection to the broker", problem=problem)

    def _on_disconnect(
        self,
        _client: Client,
        _userdata: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if self._stopping.is_set():
            return
        problem = self._client.trouble_of_tls()
        if problem is not None:
            self._board.link_down(problem)
            _log.error("no connection to the broker", problem=problem)
        elif self._board.connected:
            self._board.link_down(f"connection lost: {reason}")
            _log.warning("connection to the broker lost", reason=str(reason))
        self._commands.give_up()

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        topic, payload = message.topic, bytes(message.payload)
        if topic.startswith("reply/"):
            given = getattr(message.properties, "CorrelationData", None)
            self._commands.take_answer(topic, given, payload)
        else:
            self._board.take(topic, payload, retained=message.retain, now_ms=now_ms())

    def _publish_figures(self) -> None:
        while not self._stopping.wait(self._settings.figures_interval_ms / 1_000):
            # Without a connection they would only queue up; the next ones tell the same.
            if self._board.connected:
                self._client.publish(self._figures_topic, self._figures(), qos=1)

    def _figures(self) -> bytes:
        self._last_ms = max(now_ms(), self._last_ms + 1)
        return msgspec.json.encode({"ts": self._last_ms, "values": as_values(self._samples())})
