"""The API's connection to the broker: it hears devices' states and publishes its own figures."""

import random
import secrets
import ssl
import sys
import threading
from collections.abc import Callable, Iterable

import msgspec
from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from api.questions import now_ms
from api.settings import ApiSettings
from api.status_board import OWN_PREFIX, StatusBoard
from telemetry import log, tls
from telemetry.metrics import Sample, as_values
from telemetry.topics import OWN_SITE

STATUSES = "status/+/+"
_KEEPALIVE_SECONDS = 10
_LAST_FIGURES_SECONDS = 2.0

_log = log.get(__name__)


class _Client(Client):
    """paho's client, which keeps what ended its connection, where TLS did."""

    tls_error: ssl.SSLError | None = None

    def _sock_recv(self, bufsize: int) -> bytes:
        # With TLS 1.3 the broker refuses our certificate when we think the handshake done.
        try:
            return super()._sock_recv(bufsize)
        except ssl.SSLError as error:
            self.tls_error = error
            raise


class BrokerLink:
    """An MQTT 5 client in a thread of its own, which connects again for as long as it runs.

    Raises SettingError where TLS is asked for and its files cannot be used.
    """

    def __init__(
        self,
        settings: ApiSettings,
        board: StatusBoard,
        samples: Callable[[], Iterable[Sample]],
    ) -> None:
        self._settings = settings
        self._board = board
        self._samples = samples
        self._figures_topic = f"telemetry/{OWN_SITE}/{settings.client_id}/{OWN_PREFIX}api"
        self._last_ms = 0
        self._stopping = threading.Event()
        self._figures_thread = threading.Thread(
            target=self._publish_figures, name="own-figures", daemon=True
        )
        self._client = self._make_client()

    def start(self) -> None:
        """Begin to connect; returns at once, also where there is no broker yet."""
        self._client.connect_async(
            self._settings.broker_host,
            self._settings.broker_port,
            keepalive=_KEEPALIVE_SECONDS,
            clean_start=True,
        )
        self._client.loop_start()
        self._figures_thread.start()

    def stop(self) -> None:
        """Disconnect and end both threads."""
        self._stopping.set()
        self._figures_thread.join(_LAST_FIGURES_SECONDS)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self) -> _Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            # In a rolling update the next task of a slot is there before this one goes: with one id
            # they would throw each other out. There is no session that an id would have to find.
            client_id=f"{self._settings.client_id}-{secrets.token_hex(4)}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        context = tls.client_context(self._settings)
        if context is not None:
            client.tls_set_context(context)
        if self._settings.password is not None:
            client.username_pw_set(self._settings.username, self._settings.password.value)
        # Replicas that lost the same broker come back at different times.
        client.reconnect_delay_set(random.randint(1, 3), random.randint(5, 10))  # noqa: S311
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
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
        client.subscribe(STATUSES, qos=1)

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
        # paho calls this where it handles what went wrong, and does not hand it on.
        error = sys.exception()
        if isinstance(error, ssl.SSLError):
            self._tls_failed(error)
        else:
            self._board.link_down("cannot be reached")

    def _tls_failed(self, error: ssl.SSLError) -> None:
        problem = tls.in_words(error)
        self._board.link_down(problem)
        say = _log.warning if tls.verdict(error) == "unreachable" else _log.error
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
        error, self._client.tls_error = self._client.tls_error, None
        if error is not None and tls.verdict(error) != "unreachable":
            self._tls_failed(error)
        elif self._board.connected:
            self._board.link_down(f"connection lost: {reason}")
            _log.warning("connection to the broker lost", reason=str(reason))

    def _on_message(self, _client: Client, _userdata: object, message: MQTTMessage) -> None:
        self._board.take(
            message.topic, bytes(message.payload), retained=message.retain, now_ms=now_ms()
        )

    def _publish_figures(self) -> None:
        while not self._stopping.wait(self._settings.figures_interval_ms / 1_000):
            # Without a connection they would only queue up; the next ones tell the same.
            if self._board.connected:
                self._client.publish(self._figures_topic, self._figures(), qos=1)

    def _figures(self) -> bytes:
        self._last_ms = max(now_ms(), self._last_ms + 1)
        return msgspec.json.encode({"ts": self._last_ms, "values": as_values(self._samples())})
