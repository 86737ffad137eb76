"""The API's MQTT clients, as each of its connections to the broker has one."""

import random
import secrets
import ssl
import sys

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from api.settings import ApiSettings
from telemetry import log, tls

KEEPALIVE_SECONDS = 10

_log = log.get(__name__)


class BrokerClient(Client):
    """paho's client, which keeps what ended its connection, where TLS did.

    It sends nothing again after a reconnect: whoever sent a command was told that it is not
    answered, and the next figures tell the same as the last ones.
    """

    tls_error: ssl.SSLError | None = None

    def _sock_recv(self, bufsize: int) -> bytes:
        # With TLS 1.3 the broker refuses our certificate when we think the handshake done.
        try:
            return super()._sock_recv(bufsize)
        except ssl.SSLError as error:
            self.tls_error = error
            raise

    def _messages_reconnect_reset_out(self) -> None:
        with self._out_message_mutex:
            self._out_messages.clear()
            self._inflight_messages = 0

    def begin(self, settings: ApiSettings) -> None:
        """Begin to connect; returns at once, also where there is no broker yet."""
        self.connect_async(
            settings.broker_host,
            settings.broker_port,
            keepalive=KEEPALIVE_SECONDS,
            clean_start=True,
        )
        self.loop_start()

    def trouble_of_connecting(self) -> tuple[str, bool]:
        """Return why there is no connection, and whether a person is needed; in `on_connect_fail`.

        paho calls that where it handles what went wrong, and does not hand it on.
        """
        error = sys.exception()
        if isinstance(error, ssl.SSLError):
            return tls.in_words(error), tls.verdict(error) != "unreachable"
        return "cannot be reached", False

    def trouble_of_tls(self) -> str | None:
        """Return, once, how TLS ended the connection, where it did."""
        error, self.tls_error = self.tls_error, None
        if error is None or tls.verdict(error) == "unreachable":
            return None
        return tls.in_words(error)


def client_id(settings: ApiSettings, role: str = "") -> str:
    """Return a new MQTT client id; `role` tells apart the connections of one process."""
    # In a rolling update the next task of a slot is there before this one goes: with one id they
    # would throw each other out. There is no session that an id would have to find.
    return f"{settings.client_id}{role}-{secrets.token_hex(4)}"


def make_client(settings: ApiSettings, mqtt_client_id: str) -> BrokerClient:
    """Return a client that is not connected yet; SettingError where its TLS files are of no use."""
    client = BrokerClient(
        CallbackAPIVersion.VERSION2,
        client_id=mqtt_client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    context = tls.client_context(settings)
    if context is not None:
        client.tls_set_context(context)
    if settings.password is not None:
        client.username_pw_set(settings.username, settings.password.value)
    # Replicas that lost the same broker come back at different times.
    client.reconnect_delay_set(random.randint(1, 3), random.randint(5, 10))  # noqa: S311
    return client
