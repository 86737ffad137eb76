"""Locust's own MQTT user, or ours, as BENCH_MQTT_USER says: each publishes at a rate at one level.

Once it has warmed up it prints how many messages there were, and the CPU that each cost.
"""

import os
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import gevent
from locust import constant_throughput, events, task
from locust.contrib.mqtt import MqttUser
from locust.env import Environment

from loadtest.devices import Devices, Place
from loadtest.pace import Tally
from loadtest.publishers import Publisher
from loadtest.settings import LoadtestSettings
from telemetry.credentials import device_password

_SETTINGS = LoadtestSettings.load()
_WARM_SECONDS, _SECONDS = 5, 10
_PAYLOAD = b'{"ts":1700000000000,"values":{"value":1700000000000.0},"boot":1700000000000,"seq":17}'
_QOS = _SETTINGS.levels[0]
_numbers = count()

if os.environ["BENCH_MQTT_USER"] == "ours":

    class Bench(Publisher):
        """Ours, as in a load test."""

        abstract = False
        settings = _SETTINGS
        devices = Devices(Path(_SETTINGS.results_dir))
        tally = Tally()
        levels = _SETTINGS.levels
        rate = _SETTINGS.publisher_rate
        port = _SETTINGS.broker_port

    Bench.devices.begin(Place())

else:

    class Stock(MqttUser):
        """Locust's, with what it needs to connect, and the loop that serves many."""

        host, port = _SETTINGS.broker_host, _SETTINGS.broker_port
        use_loop_selectors = True
        wait_time = constant_throughput(_SETTINGS.publisher_rate)

        def __init__(self, environment: Environment) -> None:
            assert _SETTINGS.fleet_key is not None
            name = f"load-1-{next(_numbers):04}"
            self.client_id = self.username = name  # type: ignore[assignment]
            self.password = device_password(_SETTINGS.fleet_key.value, name)  # type: ignore[assignment]
            self._topic = f"telemetry/loadtest/{name}/load"
            super().__init__(environment)

        @task
        def publish(self) -> None:
            """Publish one message."""
            self.client.publish(self._topic, _PAYLOAD, qos=_QOS)


def _published(environment: Environment) -> int:
    entries = environment.stats.entries.values()
    return sum(one.num_requests - one.num_failures for one in entries if "publish" in one.name)


def _measure(environment: Environment) -> None:
    gevent.sleep(_WARM_SECONDS)
    messages, cpu_s = _published(environment), time.process_time()
    gevent.sleep(_SECONDS)
    messages, cpu_s = _published(environment) - messages, time.process_time() - cpu_s
    print(f"measured {messages} {cpu_s}", flush=True)
    sys.stdout.flush()
    os._exit(0)


def _begin(environment: Environment, **_: Any) -> None:
    gevent.spawn(_measure, environment)


events.test_start.add_listener(_begin)
