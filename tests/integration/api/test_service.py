"""The API as a process of its own, before a real Mosquitto."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from stack.broker import Broker
from stack.local import LocalStack
from stack.process import ROOMS
from stack.services import Service
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.eventually import eventually

STATUS = b'{"state":"online","qos":1,"boot":1700000000000,"profile":"weather"}'


@contextmanager
def connected(
    broker: Broker,
    user: str,
    on_message: Callable[[str, bytes], None] | None = None,
    *,
    client_id: str | None = None,
) -> Iterator[MqttClient]:
    """An MQTT client that is connected, its id the user's name unless one is given."""

    def heard(_client: MqttClient, _userdata: object, message: MQTTMessage) -> None:
        if on_message is not None:
            on_message(message.topic, bytes(message.payload))

    client = MqttClient(
        CallbackAPIVersion.VERSION2,
        client_id=client_id or user,
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    client.username_pw_set(user, broker.password(user))
    client.on_message = heard
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        eventually(client.is_connected)
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.fixture
def api(local: LocalStack, broker: Broker) -> Service:
    assert broker.is_running
    open_store(StoreSettings(store_url=local.store_url)).write([])
    return local.start_api(settings={"API_FIGURES_INTERVAL_MS": "100", "API_CACHE_MS": "0"})


def ask(api: Service, path: str) -> Any:
    status, text = api.get(path)
    assert status == 200, text
    return msgspec.json.decode(text)


def states(api: Service) -> dict[str, str]:
    return {one["device"]: one["state"] for one in ask(api, "/v1/devices")["devices"]}


def test_devices_states_come_from_their_retained_statuses(broker: Broker, api: Service) -> None:
    broker.admit(["d1", "d2"])
    with connected(broker, "d1") as one, connected(broker, "d2") as two:
        one.publish("status/hall/d1", STATUS, qos=1, retain=True)
        two.publish("status/hall/d2", b'{"state":"offline"}', qos=1, retain=True)
        eventually(lambda: states(api) == {"d1": "online", "d2": "offline"})
        one.publish("status/hall/d1", b'{"state":"offline"}', qos=1, retain=True)
        eventually(lambda: states(api)["d1"] == "offline")
    assert ask(api, "/v1/devices/d1")["profile"] == "weather"


def test_a_device_that_dies_is_taken_offline_by_its_last_will(broker: Broker, api: Service) -> None:
    broker.admit(["d1"])
    dying = MqttClient(
        CallbackAPIVersion.VERSION2, client_id="d1", protocol=MQTTProtocolVersion.MQTTv5
    )
    dying.username_pw_set("d1", broker.password("d1"))
    dying.will_set("status/hall/d1", b'{"state":"offline"}', qos=1, retain=True)
    dying.connect(broker.host, broker.port)
    dying.loop_start()
    dying.publish("status/hall/d1", STATUS, qos=1, retain=True)
    eventually(lambda: states(api).get("d1") == "online")
    dying.loop_stop()
    connection = dying.socket()
    assert connection is not None
    connection.close()
    eventually(lambda: states(api).get("d1") == "offline")


def test_states_come_again_after_the_broker_was_away(broker: Broker, api: Service) -> None:
    broker.admit(["d1"])
    broker.stop()
    eventually(lambda: api.get("/readyz")[0] == 503)
    assert "broker" in api.get("/readyz")[1]
    assert ask(api, "/v1/fleet")["states_current"] is False
    broker.start()
    with connected(broker, "d1") as device:
        device.publish("status/hall/d1", STATUS, qos=1, retain=True)
        eventually(lambda: states(api) == {"d1": "online"}, deadline_seconds=30)
    assert ask(api, "/v1/fleet")["states_current"] is True


def test_own_figures_are_published_as_native_readings(broker: Broker, api: Service) -> None:
    heard: list[tuple[str, Any]] = []

    def hear(topic: str, payload: bytes) -> None:
        heard.append((topic, msgspec.json.decode(payload)))

    with connected(broker, "ingest", hear) as ingest:
        ingest.subscribe("telemetry/#", qos=1)
        ask(api, "/v1/fleet")
        # Some may have been on their way before it was asked.
        eventually(lambda: len(heard) >= 3 and "requests_fleet_2xx" in heard[-1][1]["values"])
    assert {topic for topic, _ in heard} == {"telemetry/denyut/api-1/denyut_api"}
    times = [reading["ts"] for _, reading in heard]
    assert times == sorted(set(times))
    assert heard[-1][1]["values"]["requests_fleet_2xx"] == 1.0
    assert set(heard[-1][1]) == {"ts", "values"}


def test_sigterm_ends_it_with_exit_code_0(broker: Broker, api: Service) -> None:
    assert broker.is_running
    ask(api, "/healthz")
    os.kill(api.pid, signal.SIGTERM)
    assert api.wait(10) == 0
    assert "Traceback" not in api.log_tail(200)


def run(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "api"],
        cwd=ROOMS,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("API_HTTP_PORT", "70000", "a whole number from 0 to 65535"),
        ("API_CLIENT_ID", "a b", "API_CLIENT_ID"),
        ("API_STORE_URL", "mysql://x", "sqlite:///PATH"),
        ("API_PASSWORD_FILE", "/nowhere", "cannot be read"),
        ("API_HTTP_HOST", "0.0.0.0", "API_KEYS_FILE is not set"),
        ("API_KEYS_FILE", "/nowhere", "cannot be read"),
        ("API_DRAIN_SECONDS", "-1", "a number from 0 to 600"),
    ],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(
    tmp_path: Path, name: str, value: str, word: str
) -> None:
    ended = run(**{"API_STORE_URL": f"sqlite:///{tmp_path}/s.db", name: value})
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert name.removesuffix("_URL").split("_")[1].lower() in ended.stderr.lower()
    assert word in ended.stderr


def test_a_missing_setting_is_named() -> None:
    ended = run()
    assert ended.returncode == 2
    assert "API_STORE_URL is not set" in ended.stderr
