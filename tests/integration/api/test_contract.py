"""The whole document against the API: schemathesis' checks over what its generators think of."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import msgspec
import pytest
import schemathesis
from flask import Flask, Response
from msgspec import Struct
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from schemathesis.checks import CHECKS
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup

from api.app import create_app
from api.openapi.declaration import EVENTS, declares
from api.openapi.document import document
from api.settings import ApiSettings
from api.status_board import StatusBoard
from api.wiring import RunningApi
from stack.broker import Broker
from stack.local import LocalStack
from telemetry.keys import file as key_file
from telemetry.keys import make_key
from telemetry.settings import Secret
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.eventually import eventually
from tests.integration.api.conftest import reading

EXAMPLES = int(os.environ.get("CONTRACT_EXAMPLES", "80"))
"""Of each operation, beside those at the edges of its schema; more are for a free hour."""
NOWHERE = ApiSettings(store_url="sqlite:///nowhere", max_points=1_000)
KNOWN = {
    "device": ["d1", "d2", "d3"],
    "site": ["hall", "yard"],
    "measurement": ["weather", "motor"],
    "prefix": ["d", "d1"],
    "fields": ["t", "t,ok", "text"],
    "start": ["-10m", "-1h", "-1d"],
    "stop": ["now", "-1m"],
    "every": ["10s", "1m", "5m"],
    "name": ["blink"],
}


def with_known_names(found: dict[str, Any]) -> dict[str, Any]:
    """Let generators choose, beside anything that is allowed, from what the store really has."""
    for methods in found["paths"].values():
        for parameter in (one for operation in methods.values() for one in operation["parameters"]):
            if parameter["name"] in KNOWN:
                allowed = parameter["schema"]
                parameter["schema"] = {"anyOf": [{"enum": KNOWN[parameter["name"]]}, allowed]}
    return found


def schema_of(app: Flask) -> Any:
    found = schemathesis.openapi.from_dict(
        with_known_names(msgspec.json.decode(msgspec.json.encode(document(app, NOWHERE)))),
        config=SchemathesisConfig(),
    )
    found.app = app
    return found


SCHEMA = schema_of(create_app(NOWHERE, open_store(NOWHERE), StatusBoard(1)))
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES,
    derandomize="CONTRACT_EXAMPLES" not in os.environ,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)


class World(Struct):
    """An API at work, and the header that lets one in."""

    app: Flask
    headers: dict[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The API with keys, on a store with three devices, beside a real broker."""
    now_ms = time.time_ns() // 1_000_000
    with LocalStack() as local:
        broker = local.start_broker()
        store = open_store(StoreSettings(store_url=local.store_url))
        for n in range(600):
            device = f"d{n % 3 + 1}"
            values: dict[str, Any] = {"t": n / 7, "ok": n % 2 == 0, "text": f"<{n}>"}
            kind = ("weather", "motor")[n % 2]
            store.write(
                [reading(device, now_ms - n * 1_500, n, site="hall", measurement=kind, **values)]
            )
        store.close()
        keys = tmp_path_factory.mktemp("keys") / "keys"
        running = RunningApi.start(
            settings_of(local, broker.host, broker.port, keys, broker.password("api"))
        )
        running.app.after_request(ended)
        room = running.app.extensions["denyut"]
        eventually(lambda: room.board.connected)
        broker.admit(["d1", "d2"])
        with simulated(broker, "d1", b'{"state":"online","qos":1}'):
            with simulated(broker, "d2", b'{"state":"offline"}'):
                eventually(lambda: len(room.board) == 2)
            key = new_key(keys)
            yield World(
                running.app, {"Authorization": f"Bearer {key}", "Accept-Encoding": "identity"}
            )
        running.stop()


@contextmanager
def simulated(broker: Broker, name: str, status: bytes) -> Iterator[None]:
    """A device that tells its status, and does what it is told."""

    def answer(client: MqttClient, _userdata: object, message: MQTTMessage) -> None:
        asked: Any = message.properties
        told: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        told.CorrelationData = asked.CorrelationData
        client.publish(asked.ResponseTopic, b'{"ok":true,"done":1}', qos=1, properties=told)

    client = MqttClient(
        CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5
    )
    client.username_pw_set(name, broker.password(name))
    client.on_message = answer
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        eventually(client.is_connected)
        client.subscribe(f"command/+/{name}/#", qos=1)
        client.publish(f"status/hall/{name}", status, qos=1, retain=True).wait_for_publish(10)
        yield
    finally:
        client.disconnect()
        client.loop_stop()


def ended(response: Response) -> Response:
    """Let a stream of events end with its headers: nothing else of it could be held to a schema."""
    if response.mimetype == EVENTS and response.is_streamed:
        response.response.close()  # type: ignore[union-attr]
        response.response = []
    return response


def new_key(keys: Path) -> str:
    key, entry = make_key("contract", ["read", "command", "admin"], None, made="")
    key_file.add(keys, entry)
    return key


def settings_of(local: LocalStack, host: str, port: int, keys: Path, password: str) -> ApiSettings:
    keys.touch()
    return ApiSettings(
        store_url=local.store_url,
        broker_host=host,
        broker_port=port,
        password=Secret(password),
        keys_file=str(keys),
        max_points=NOWHERE.max_points,
    )


def is_of_the_whole_question(response: Any) -> bool:
    """Whether the refusal is of parameters together, which no schema of each can say."""
    problem = "urn:denyut:problem:bad-question"
    return response.status_code == 400 and bool(response.json()["type"] == problem)


ACCEPTANCE: Any = CHECKS.get_one("positive_data_acceptance")


def positive_data_acceptance_of_questions(ctx: Any, response: Any, case: Any) -> Any:
    return None if is_of_the_whole_question(response) else ACCEPTANCE(ctx, response, case)


def validate(case: Any, app: Flask, headers: dict[str, str]) -> None:
    """Ask, and hold the answer to all checks."""
    case.call_and_validate(
        app=app,
        headers=headers,
        excluded_checks=[ACCEPTANCE],
        additional_checks=[positive_data_acceptance_of_questions],
    )


@SCHEMA.parametrize()  # type: ignore[untyped-decorator]
@SETTINGS
@pytest.mark.timeout(600)
def test_every_answer_is_one_of_the_document(case: Any, world: World) -> None:
    validate(case, world.app, world.headers)


class Counted(Struct, frozen=True):
    """An answer of a route that is made for the next test."""

    count: int


@pytest.mark.parametrize(
    ("body", "status", "media_type", "found"),
    [
        (b'{"count":1}', 200, "application/json", None),
        (b'{"count":"many"}', 200, "application/json", "is not of type"),
        (b'{"count":1,"more":2}', 200, "application/json", "Additional properties"),
        (b"{}", 200, "application/json", "required"),
        (b'{"count":1}', 201, "application/json", "Undocumented status code"),
        (b'{"count":1}', 200, "text/plain", "Undocumented Content-Type"),
        (b'{"count":1', 200, "application/json", "JSON"),
        (b"", 500, "application/problem+json", "Server error"),
    ],
)
def test_the_checks_find_an_answer_that_is_not_in_the_document(
    body: bytes, status: int, media_type: str, found: str | None
) -> None:
    @declares("Wrong", answers={200: Counted}, scope=None)
    def wrong() -> Response:
        return Response(body, status, content_type=media_type)

    app = create_app(NOWHERE, open_store(NOWHERE), StatusBoard(1))
    app.add_url_rule("/wrong", view_func=wrong)
    case = schema_of(app)["/wrong"]["GET"].Case()
    if found is None:
        validate(case, app, {})
    else:
        with pytest.raises(FailureGroup) as failed:
            validate(case, app, {})
        assert found in "".join(map(str, failed.value.exceptions))
