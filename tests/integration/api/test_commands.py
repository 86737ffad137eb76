"""Commands over a real Mosquitto, to a device that is a small client of its own."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
import pytest
from paho.mqtt.client import Client as MqttClient
from paho.mqtt.client import MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.store import Selection
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.eventually import STALL_SECONDS, eventually
from tests.integration.api.test_service import STATUS, connected

OFFLINE = b'{"state":"offline"}'
# A device that answers does so in time, also where the machine stands still.
TIMEOUT_SECONDS = round(1 + STALL_SECONDS)
Answering = Callable[[MQTTMessage], bytes | None]


def start_api(local: LocalStack, broker: Broker) -> Service:
    broker.admit(["d1", "d2"])
    open_store(StoreSettings(store_url=local.store_url)).write([])
    settings = {
        "API_COMMAND_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS),
        "API_MAX_COMMANDS": "8",
        "API_CACHE_MS": "0",
    }
    return local.start_api(settings=settings)


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalStack]:
    """A stack for all tests but those that stop a part of it or look into its store."""
    with LocalStack() as stack:
        yield stack
        for process in stack.processes:
            print(f"--- {process.name}\n{process.log_tail()}")


@pytest.fixture(scope="module")
def broker(shared: LocalStack) -> Broker:
    return shared.start_broker()


@pytest.fixture(scope="module")
def api(shared: LocalStack, broker: Broker) -> Service:
    return start_api(shared, broker)


def tell(
    api: Service,
    name: str,
    body: bytes = b"{}",
    *,
    device: str = "d1",
    kind: str = "application/json",
) -> tuple[int, Any]:
    """Send a command; return the answer's status and body."""
    url = f"http://{api.host}:{api.port}/v1/devices/{device}/commands/{name}"
    request = Request(url, body, {"Content-Type": kind}, method="POST")
    try:
        with urlopen(request, timeout=20) as response:
            return response.status, msgspec.json.decode(response.read())
    except HTTPError as error:
        with error:
            return error.code, msgspec.json.decode(error.read())


def answer_to(device: MqttClient, message: MQTTMessage, payload: bytes, **other: Any) -> None:
    """Answer as the contract has it, unless another topic or correlation is given."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    given: Any = message.properties
    properties.CorrelationData = other.get("correlation", given.CorrelationData)
    device.publish(other.get("topic", given.ResponseTopic), payload, qos=1, properties=properties)


@contextmanager
def a_device(
    broker: Broker, api: Service, answering: Answering, *, listens: bool = True
) -> Iterator[list[MQTTMessage]]:
    """A device `d1` that is online; what it was told is collected."""
    told: list[MQTTMessage] = []

    def take(_client: MqttClient, _userdata: object, message: MQTTMessage) -> None:
        told.append(message)
        payload = answering(message)
        if payload is not None:
            answer_to(device, message, payload)

    with connected(broker, "d1") as device:
        device.on_message = take
        if listens:
            device.subscribe("command/hall/d1/#", qos=1)
        device.publish("status/hall/d1", STATUS, qos=1, retain=True).wait_for_publish(5)
        eventually(lambda: '"online"' in api.get("/v1/devices/d1")[1])
        yield told


def count(api: Service, name: str) -> float:
    lines = api.get("/metrics")[1].splitlines()
    return float(
        next(line.split()[1] for line in lines if line.startswith(f"denyut_api_{name}_total "))
    )


def test_a_device_is_told_and_answers(broker: Broker, api: Service) -> None:
    with a_device(broker, api, lambda _: b'{"ok":true,"period_ms":500,"was_ms":1000}') as told:
        status, found = tell(api, "set-period", b'{ "period_ms" : 500 }')
    assert (status, found) == (
        200,
        {
            "device": "d1",
            "name": "set-period",
            "ok": True,
            "answer": {"period_ms": 500, "was_ms": 1000},
        },
    )
    (message,) = told
    given: Any = message.properties
    assert message.topic == "command/hall/d1/set-period"
    assert (message.payload, message.qos, message.retain) == (b'{"period_ms":500}', 1, False)
    assert given.ResponseTopic.startswith("reply/hall/d1/api-1-")
    assert len(given.CorrelationData) == 16
    assert given.MessageExpiryInterval == TIMEOUT_SECONDS


def test_several_at_once_get_each_its_own_answer(broker: Broker, api: Service) -> None:
    """Also where the answers come in another order."""
    held: list[tuple[MQTTMessage, bytes]] = []

    with connected(broker, "d1") as device:

        def take(_client: MqttClient, _userdata: object, message: MQTTMessage) -> None:
            held.append((message, bytes(message.payload)))
            if len(held) == 6:
                for one, body in reversed(held):
                    number = msgspec.json.decode(body)["number"]
                    answer_to(device, one, b'{"ok":true,"number":%d}' % number)

        device.on_message = take
        device.subscribe("command/hall/d1/#", qos=1)
        device.publish("status/hall/d1", STATUS, qos=1, retain=True).wait_for_publish(5)
        eventually(lambda: '"online"' in api.get("/v1/devices/d1")[1])
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda n: tell(api, "count", b'{"number":%d}' % n), range(6)))
    assert [(status, one["answer"]) for status, one in found] == [
        (200, {"number": number}) for number in range(6)
    ]


def test_a_device_that_refuses_is_422_with_its_words(broker: Broker, api: Service) -> None:
    with a_device(broker, api, lambda _: b'{"ok":false,"error":"not now"}'):
        status, found = tell(api, "reboot")
    assert (status, found["type"]) == (422, "urn:denyut:problem:device-refused")
    assert "not now" in found["detail"]


@pytest.mark.parametrize("payload", [b"", b"[]", b"{", b'{"ok":1}', b"\xff", b"[" * 5_000])
def test_an_answer_that_is_none_is_502(broker: Broker, api: Service, payload: bytes) -> None:
    with a_device(broker, api, lambda _: payload):
        assert tell(api, "reboot")[0] == 502


def test_a_silent_device_is_504_and_its_late_answer_is_counted(
    broker: Broker, api: Service
) -> None:
    late, silent = count(api, "late_answers"), count(api, "command_timeouts")
    with a_device(broker, api, lambda _: None) as told:
        began_s = time.monotonic()
        status, found = tell(api, "reboot")
        assert (status, found["type"]) == (504, "urn:denyut:problem:device-silent")
        assert TIMEOUT_SECONDS <= time.monotonic() - began_s < TIMEOUT_SECONDS + 1 + STALL_SECONDS
        # With one client id the two would throw each other out.
        with connected(broker, "d1", client_id="d1-late") as device:
            answer_to(device, told[0], b'{"ok":true}')
            eventually(lambda: count(api, "late_answers") == late + 1)
    assert count(api, "command_timeouts") == silent + 1


def test_only_the_device_itself_can_answer(broker: Broker, api: Service) -> None:
    """Whoever learned the correlation data of another's command still cannot answer it."""
    late = count(api, "late_answers")
    with connected(broker, "d2") as other:

        def betray(message: MQTTMessage) -> None:
            given: Any = message.properties
            answer_to(other, message, b'{"ok":true}')
            topic = given.ResponseTopic.replace("/d1/", "/d2/")
            answer_to(other, message, b'{"ok":true}', topic=topic)

        with a_device(broker, api, betray):
            assert tell(api, "reboot")[0] == 504
            eventually(lambda: count(api, "late_answers") == late + 1)


def test_a_device_that_is_not_there_is_told_nothing(broker: Broker, api: Service) -> None:
    assert tell(api, "reboot", device="nobody")[0] == 404
    with connected(broker, "d1") as device:
        device.publish("status/hall/d1", OFFLINE, qos=1, retain=True).wait_for_publish(5)
        eventually(lambda: '"offline"' in api.get("/v1/devices/d1")[1])
    status, found = tell(api, "reboot")
    assert (status, found["type"]) == (409, "urn:denyut:problem:device-offline")


def test_a_device_that_does_not_listen_is_known_at_once(broker: Broker, api: Service) -> None:
    with a_device(broker, api, lambda _: None, listens=False):
        silent = count(api, "command_timeouts")
        assert tell(api, "reboot")[0] == 409
        assert count(api, "command_timeouts") == silent


def test_without_a_broker_a_command_is_503_and_is_not_sent_later(local: LocalStack) -> None:
    broker = local.start_broker()
    api = start_api(local, broker)
    with a_device(broker, api, lambda _: None) as told:
        found: list[int] = []
        waiting = threading.Thread(target=lambda: found.append(tell(api, "reboot")[0]))
        waiting.start()
        eventually(lambda: told)
        broker.stop()
        waiting.join()
        assert found == [503]
        assert tell(api, "reboot")[0] == 503
        broker.start()
        eventually(lambda: api.lacks() is None, deadline_seconds=40)
        assert len(told) == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "application/x-www-form-urlencoded", 415),
        (b'{"a":"%s"}' % (b"x" * 4_096), "application/json", 413),
        (b"x" * 100_000, "application/json", 413),
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"a":' * 600 + b"1" + b"}" * 600, "application/json", 400),
        (b'{"period_ms":99}', "application/json", 400),
        (b'{"period_ms":"500"}', "application/json", 400),
        (b'{"period_ms":500,"colour":"red"}', "application/json", 400),
    ],
)
def test_a_bad_body_is_refused_before_the_device_is_told(
    broker: Broker, api: Service, body: bytes, kind: str, status: int
) -> None:
    with a_device(broker, api, lambda _: b'{"ok":true}') as told:
        assert tell(api, "set-period", body, kind=kind)[0] == status
        assert told == []


@pytest.mark.parametrize("name", ["%2B", "%23", "a%2Fb", "SET", "x" * 65, "-a", "a%00"])
def test_a_name_that_is_none_is_not_found(broker: Broker, api: Service, name: str) -> None:
    with a_device(broker, api, lambda _: b'{"ok":true}') as told:
        assert tell(api, name)[0] == 404
        assert told == []


def test_more_than_may_wait_are_refused(broker: Broker, api: Service) -> None:
    with a_device(broker, api, lambda _: None), ThreadPoolExecutor(12) as pool:
        found = [status for status, _ in pool.map(lambda _: tell(api, "reboot"), range(12))]
    assert sorted(found) == [429] * 4 + [504] * 8


def test_the_known_commands_are_listed(broker: Broker, api: Service) -> None:
    with a_device(broker, api, lambda _: None):
        found = msgspec.json.decode(api.get("/v1/devices/d1/commands")[1])["commands"]
    assert [one["name"] for one in found] == ["set-period", "set-fault", "reboot"]
    assert found[0]["body"]["properties"]["period_ms"]["maximum"] == 3_600_000
    assert all(one["summary"] for one in found)


def test_what_devices_were_told_and_how_it_went_is_stored_as_readings_of_our_own(
    local: LocalStack,
) -> None:
    broker = local.start_broker()
    api = start_api(local, broker)
    local.start_ingest(settings={"INGEST_FLUSH_INTERVAL_MS": "10"})
    answers = iter([b'{"ok":true}', b'{"ok":false,"error":"no"}', None])
    with a_device(broker, api, lambda _: next(answers)):
        assert [tell(api, "reboot")[0] for _command in range(3)] == [200, 422, 504]
    store = open_store(StoreSettings(store_url=local.store_url), read_only=True)
    ever = Selection(start_ms=0, stop_ms=2**52, measurement="denyut_commands")

    eventually(lambda: len(store.readings(ever, limit=9)) == 3)

    stored = store.readings(ever, limit=9)
    assert [one.values["outcome"] for one in stored] == ["done", "device-refused", "device-silent"]
    assert {(one.values["to"], one.values["command"]) for one in stored} == {("d1", "reboot")}
    assert float(stored[-1].values["milliseconds"]) > 1_000 * TIMEOUT_SECONDS
    store.close()
