"""Devices that are told something, over a real Mosquitto with its access rules."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from broker import access
from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Fleet
from tests.eventually import eventually
from tests.integration.sensors.conftest import Listener
from tests.integration.sensors.test_fleet_run import acknowledged, metric, offered, sessions, states

DEVICES = 3


class Commander:
    """Tells devices something as the API does, and waits for what they answer."""

    def __init__(self, broker: Broker) -> None:
        self._answers: dict[bytes, MQTTMessage] = {}
        self._asked = 0
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(access.API, broker.password(access.API))
        self._client.on_message = self._note
        subscribed: list[bool] = []
        self._client.on_subscribe = lambda *_: subscribed.append(True)
        self._client.connect(broker.host, broker.port)
        self._client.loop_start()
        eventually(self._client.is_connected, what="a connection")
        self._client.subscribe("reply/#", qos=1)
        eventually(lambda: bool(subscribed), what="a subscription")

    @property
    def answers(self) -> int:
        return len(self._answers)

    def tell(
        self,
        device: str,
        name: str,
        body: bytes,
        *,
        reply_to: str | None = "",
        retain: bool = False,
    ) -> bytes:
        """Send a command; return its correlation data."""
        self._asked += 1
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        correlation = self._asked.to_bytes(16, "big")
        properties.CorrelationData = correlation
        if reply_to is not None:
            properties.ResponseTopic = reply_to or f"reply/home/{device}/api-1"
        topic = f"command/home/{device}/{name}"
        self._client.publish(topic, body, 1, retain, properties).wait_for_publish(5)
        return correlation

    def ask(self, device: str, name: str, **body: Any) -> Any:
        """Send a command and return the answer to it."""
        asked = self.tell(device, name, msgspec.json.encode(body))
        eventually(lambda: asked in self._answers, what=f"the answer to {name}")
        answer = self._answers[asked]
        assert answer.topic == f"reply/home/{device}/api-1"
        return msgspec.json.decode(answer.payload)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _note(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        assert message.properties is not None
        self._answers[getattr(message.properties, "CorrelationData", b"")] = message


@pytest.fixture
def commander(broker: Broker) -> Iterator[Commander]:
    one = Commander(broker)
    yield one
    one.close()


@pytest.fixture
def fleet(local: LocalStack, listen: Callable[..., Listener], fleet_file: Path) -> Fleet:
    """Three devices, one of each level, that somebody listens to."""
    listen("telemetry/home/#")
    fleet = local.start_fleet(fleet_file, devices=DEVICES)
    eventually(lambda: metric(fleet, "running_seconds") > 0, what="the first readings")
    return fleet


def end(fleet: Fleet) -> None:
    os.kill(fleet.pid, signal.SIGTERM)
    assert fleet.wait(timeout_seconds=20) == 0


@pytest.mark.parametrize("device", ["d-00000", "d-00001", "d-00002"])
def test_a_device_of_each_level_takes_another_period(
    fleet: Fleet, commander: Commander, local: LocalStack, device: str
) -> None:
    assert commander.ask(device, "set-period", period_ms=3_600_000) == {
        "ok": True, "period_ms": 3_600_000,
    }  # fmt: skip

    def made() -> int:
        return sum(len(one.times_ms) for one in sessions(local) if one.device == device)

    before, others = made(), metric(fleet, "offered_readings")
    eventually(lambda: metric(fleet, "offered_readings") > others + 20, what="others' readings")
    assert made() == before
    assert commander.ask(device, "set-period", period_ms=100)["ok"]
    eventually(lambda: made() > before + 5, what="readings again")
    end(fleet)


def test_what_a_device_cannot_do_is_answered_and_what_it_may_not_answer_is_counted(
    fleet: Fleet, commander: Commander
) -> None:
    assert commander.ask("d-00001", "set-period", period_ms=1)["ok"] is False
    assert "explode" not in commander.ask("d-00001", "explode")["error"]
    answers = commander.answers
    for reply_to in (None, "reply/home/d-00002/api-1", "telemetry/home/d-00001/weather"):
        commander.tell("d-00001", "reboot", b"{}", reply_to=reply_to)
    eventually(lambda: metric(fleet, "ignored_commands") == 3, what="three ignored")
    assert commander.ask("d-00001", "set-fault", fault=None)["ok"]
    assert commander.answers == answers + 1
    assert metric(fleet, "reboots") == 0
    assert metric(fleet, "commands") == 3
    assert metric(fleet, "lost_connections") == 0
    end(fleet)


def test_a_reboot_begins_a_new_boot_at_zero_and_the_ledger_has_both(
    fleet: Fleet, commander: Commander, local: LocalStack, listen: Callable[..., Listener]
) -> None:
    statuses = listen("status/#")
    answer = commander.ask("d-00001", "reboot")
    assert answer["ok"]
    eventually(lambda: metric(fleet, "reboots") == 1, what="the reboot")
    eventually(
        lambda: (
            states(statuses).get("d-00001", {}).get("boot") == answer["boot"]
            and states(statuses)["d-00001"]["state"] == "online"
        ),
        what="the new boot's status",
    )
    said = [
        msgspec.json.decode(payload)["state"]
        for payload in statuses.payloads("status/home/d-00001")
    ]
    assert said == ["online", "offline", "online"]

    def new_boot() -> list[int]:
        return [
            time_ms
            for one in sessions(local)
            if one.device == "d-00001" and one.boot_ms == answer["boot"]
            for time_ms in one.times_ms
        ]

    eventually(lambda: len(new_boot()) > 10, what="readings of the new boot")
    assert commander.ask("d-00001", "set-fault", fault=None)["ok"]
    end(fleet)
    assert min(new_boot()) >= answer["boot"]
    assert acknowledged(local, 1, 2) == offered(local, 1, 2)
    assert boots_by_device(local) == {"d-00000": 1, "d-00001": 2, "d-00002": 1}


def boots_by_device(local: LocalStack) -> dict[str, int]:
    found: dict[str, int] = {}
    for session in sessions(local):
        found[session.device] = found.get(session.device, 0) + 1
    return found


def test_a_fault_that_a_device_was_told_is_in_the_ledger_until_it_ends(
    fleet: Fleet, commander: Commander, local: LocalStack
) -> None:
    assert commander.ask("d-00001", "set-fault", fault="dropout", for_ms=500)["ok"]
    assert commander.ask("d-00002", "set-fault", fault="stuck", for_ms=86_400_000)["ok"]
    assert "one of dropout" in commander.ask("d-00002", "set-fault", fault="gremlins")["error"]

    def befallen(device: str) -> list[int]:
        return [
            seq for one in sessions(local) if one.device == device for seq in sorted(one.faults)
        ]

    eventually(lambda: len(befallen("d-00002")) > 10, what="stuck readings")
    assert commander.ask("d-00002", "set-fault", fault=None)["ok"]
    stuck, made = befallen("d-00002"), metric(fleet, "offered_readings")
    eventually(lambda: metric(fleet, "offered_readings") > made + 30, what="healthy readings")
    assert befallen("d-00002") == stuck
    assert 0 < len(befallen("d-00001")) < 12
    assert befallen("d-00000") == []
    end(fleet)


def test_a_command_that_was_retained_for_a_later_day_is_nobodys_order(
    local: LocalStack, listen: Callable[..., Listener], fleet_file: Path, commander: Commander
) -> None:
    listen("telemetry/home/#")
    commander.tell("d-00001", "set-period", b'{"period_ms": 3600000}', retain=True)
    fleet = local.start_fleet(fleet_file, devices=DEVICES)
    eventually(lambda: metric(fleet, "running_seconds") > 0, what="the first readings")
    assert commander.ask("d-00001", "set-fault", fault=None)["ok"]
    assert metric(fleet, "commands") == 1
    commander.tell("d-00001", "set-period", b"", retain=True)
    end(fleet)
