"""A run's figures, published as services publish their own: for the dashboards."""

import sys
import time

import gevent
from locust.env import Environment

from loadtest.figures import MEASUREMENT, samples
from loadtest.mqtt_client import Client, NotConnected
from loadtest.settings import LoadtestSettings
from loadtest.window import Window, operations
from telemetry.credentials import device_password
from telemetry.metrics import as_values
from telemetry.payload.native import encode_native
from telemetry.reading import Address, Reading
from telemetry.tls import client_context
from telemetry.topics import OWN_SITE, READINGS, TopicTemplate

_INTERVAL_SECONDS = 10.0
_KEEPALIVE_SECONDS = 30
_QOS = 0


class FigureReports:
    """Publishes the figures of one run from its beginning to its end, by who leads it.

    Without the fleet's key there is no credential, and nothing is published. What the broker
    refuses or loses costs the run nothing: these figures are to be looked at, not judged by.
    """

    def __init__(self, settings: LoadtestSettings, environment: Environment) -> None:
        self._settings = settings
        self._environment = environment
        self._name = f"loadtest-{settings.slot}"
        address = Address(OWN_SITE, self._name, MEASUREMENT)
        self._topic = TopicTemplate.parse(READINGS).topic(address).encode()
        self._client: Client | None = None
        self._is_connected = self._is_told = False
        self._keeping: gevent.Greenlet | None = None
        self._lately = Window(environment.stats)

    def begin(self) -> None:
        """Publish now and at each interval from now on, in a greenlet."""
        if self._settings.fleet_key is None:
            return
        self._client = self._made(device_password(self._settings.fleet_key.value, self._name))
        self._keeping = gevent.spawn(self._keep_publishing)

    def end(self) -> None:
        """Publish what there is at the end, and leave."""
        if self._keeping is None or self._client is None:
            return
        self._keeping.kill()
        self._keeping = None
        if self._is_connected:
            self._publish(self._client)
        self._client.leave()

    def _made(self, password: str) -> Client:
        told = self._settings
        client = Client(environment=self._environment, client_id=self._name)
        client.username_pw_set(self._name, password)
        context = client_context(told)
        if context is not None:
            client.tls_set_context(context)
        client.connect_async(told.broker_host, told.broker_port)
        client.lost = self._on_lost
        return client

    def _keep_publishing(self) -> None:
        assert self._client is not None
        while True:
            self._publish(self._client)
            gevent.sleep(_INTERVAL_SECONDS)

    def _publish(self, client: Client) -> None:
        if not self._is_connected and not self._connect(client):
            return
        now_ms = time.time_ns() // 1_000_000
        runner, stats = self._environment.runner, self._environment.stats
        lately, self._lately = self._lately, Window(stats)
        users = runner.user_count if runner else 0
        values = as_values(samples(users, operations(stats), lately.operations()))
        # Without boot and seq: no audit covers them.
        payload = encode_native(Reading(OWN_SITE, self._name, MEASUREMENT, now_ms, values))
        client.send(0, self._topic, payload, _QOS)

    def _connect(self, client: Client) -> bool:
        try:
            client.dial(
                keepalive_seconds=_KEEPALIVE_SECONDS,
                timeout_seconds=self._settings.timeout_seconds,
            )
        except NotConnected as error:
            if not self._is_told:
                word = f"· {self._name} publishes no figures: {error}"
                print(word, file=sys.stderr, flush=True)
            self._is_told = True
            return False
        self._is_connected, self._is_told = True, False
        return True

    def _on_lost(self) -> None:
        self._is_connected = False
