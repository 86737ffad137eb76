"""Whole fleets, as processes, at a real Mosquitto."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Fleet
from telemetry.ledger import ACKNOWLEDGED, DROPPED, Session, read_ledger
from tests.eventually import eventually
from tests.integration.sensors.conftest import Listener

Key = tuple[str, int]


def metric(fleet: Fleet, name: str) -> float:
    page = fleet.get("/metrics")[1]
    return sum(
        sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.removesuffix("_total") == f"denyut_sensors_{name}"
    )


def received(listener: Listener) -> list[Key]:
    return [
        (device, msgspec.json.decode(message.payload)["seq"])
        for message in list(listener.messages)
        for _, site, device, _ in [message.topic.split("/")]
        if site == "home"
    ]


def sessions(local: LocalStack) -> list[Session]:
    return read_ledger([local.ledger_folder]).sessions


def acknowledged(local: LocalStack, *levels: int) -> set[Key]:
    return {
        (session.device, seq)
        for session in sessions(local)
        if session.qos in levels
        for seq, end in enumerate(session.ends)
        if end == ACKNOWLEDGED
    }


def offered(local: LocalStack, *levels: int) -> set[Key]:
    return {
        (session.device, seq)
        for session in sessions(local)
        if session.qos in levels
        for seq, time_ms in enumerate(session.times_ms)
        if time_ms >= 0
    }


def report(fleet: Fleet) -> Any:
    return msgspec.json.decode(fleet.report_path.read_bytes())


def states(listener: Listener) -> dict[str, Any]:
    """Return what each device said last."""
    return {
        message.topic.split("/")[2]: msgspec.json.decode(message.payload)
        for message in list(listener.messages)
    }


def test_what_the_ledger_calls_acknowledged_is_what_a_subscriber_got(
    local: LocalStack, listen: Callable[..., Listener], fleet_file: Path
) -> None:
    listener = listen("telemetry/home/#")
    fleet = local.start_fleet(fleet_file, devices=12, duration_seconds=2)
    assert fleet.wait(timeout_seconds=20) == 0
    taken = acknowledged(local, 1, 2)
    # The broker may have acknowledged a reading that it has not handed on yet.
    eventually(lambda: taken <= set(received(listener)), what="what was acknowledged")
    got = received(listener)
    assert len(taken) > 100
    assert taken == offered(local, 1, 2)
    levels = {session.device: session.qos for session in sessions(local)}
    assert {key for key in got if levels[key[0]] > 0} == taken
    assert len(got) == len(set(got)), "nothing was sent twice"
    assert acknowledged(local, 0) == set()
    assert {key for key in got if levels[key[0]] == 0} <= offered(local, 0)
    by_qos = report(fleet)["by_qos"]
    assert by_qos["1"]["offered"] + by_qos["2"]["offered"] == len(taken)
    assert by_qos["0"]["offered"] == by_qos["0"]["published"] == len(offered(local, 0))


def test_status_is_retained_and_the_last_will_tells_of_a_killed_fleet(
    local: LocalStack, listen: Callable[..., Listener], fleet_file: Path
) -> None:
    fleet = local.start_fleet(fleet_file, devices=12)
    online = listen("status/#")
    eventually(lambda: len(states(online)) == 12, what="twelve retained states")
    assert all(message.retain for message in online.messages[:12])
    said = states(online)["d-00002"]
    assert said | {"boot": 0} == {
        "state": "online", "qos": 2, "boot": 0, "profile": "weather-station",
    }  # fmt: skip
    eventually(lambda: sessions(local), what="the ledger")
    assert said["boot"] == sessions(local)[0].boot_ms
    fleet.kill()
    later = listen("status/#")
    eventually(
        lambda: [one["state"] for one in states(later).values()] == ["offline"] * 12,
        what="twelve offline states",
    )


def test_sigterm_empties_the_outboxes_says_offline_and_ends_well(
    local: LocalStack, broker: Broker, listen: Callable[..., Listener], fleet_file: Path
) -> None:
    listener = listen("telemetry/home/#")
    fleet = local.start_fleet(fleet_file, devices=12)
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    os.kill(broker.pid, signal.SIGSTOP)
    # Eight devices have an outbox: more than what may be in flight is in each.
    eventually(lambda: metric(fleet, "outbox_readings") > 8 * 30, what="full outboxes")
    os.kill(fleet.pid, signal.SIGTERM)
    eventually(lambda: "draining" in fleet.log_tail(), what="the end of the readings")
    os.kill(broker.pid, signal.SIGCONT)
    assert fleet.wait(timeout_seconds=20) == 0
    assert acknowledged(local, 1, 2) == offered(local, 1, 2)
    taken = acknowledged(local, 1, 2)
    eventually(lambda: taken <= set(received(listener)), what="what was acknowledged")
    statuses = listen("status/#")
    eventually(lambda: len(states(statuses)) == 12, what="twelve retained states")
    assert {one["state"] for one in states(statuses).values()} == {"offline"}
    assert report(fleet)["lost_connections"] == 0


def test_a_killed_broker_gets_again_what_it_had_not_acknowledged(
    local: LocalStack, broker: Broker, listen: Callable[..., Listener], fleet_file: Path
) -> None:
    listener = listen("telemetry/home/#")
    fleet = local.start_fleet(fleet_file, devices=12, qos="1")
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    os.kill(broker.pid, signal.SIGSTOP)
    eventually(lambda: metric(fleet, "outbox_readings") > 100, what="unacknowledged readings")
    known = acknowledged(local, 1)
    unacknowledged = offered(local, 1) - known
    broker.kill()
    broker.start()
    eventually(lambda: metric(fleet, "connected_devices") == 12, deadline_seconds=20)
    eventually(lambda: metric(fleet, "outbox_readings") <= 12, deadline_seconds=20)
    assert metric(fleet, "republished_readings") > 50
    os.kill(fleet.pid, signal.SIGTERM)
    assert fleet.wait(timeout_seconds=20) == 0
    assert len(unacknowledged) > 50
    assert unacknowledged <= acknowledged(local, 1)
    assert acknowledged(local, 1) == offered(local, 1)
    # What a killed broker had acknowledged and not handed on is lost with it, as documented.
    wanted = offered(local, 1) - known
    eventually(lambda: wanted <= set(received(listener)), what="all of those readings")
    assert report(fleet)["lost_connections"] == 12


def test_a_broker_that_lost_its_sessions_is_given_qos_1_readings_until_somebody_subscribes(
    local: LocalStack, broker: Broker, listen: Callable[..., Listener], fleet_file: Path
) -> None:
    first = listen("telemetry/home/#")
    fleet = local.start_fleet(fleet_file, devices=12, qos="1")
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    first.close()
    broker.stop()
    (broker.configuration.persistence_folder / "mosquitto.db").unlink()
    eventually(lambda: metric(fleet, "connected_devices") == 0, what="the broker's end")
    taken, kept = metric(fleet, "acknowledged_readings"), metric(fleet, "kept_readings")
    eventually(lambda: len(acknowledged(local, 1)) == taken, what="the ledger")
    settled = acknowledged(local, 1)
    broker.start()
    eventually(lambda: metric(fleet, "kept_readings") > kept + 12, what="answers 0x10")
    assert acknowledged(local, 1) == settled
    second = listen("telemetry/home/#")
    eventually(lambda: metric(fleet, "outbox_readings") <= 12, deadline_seconds=20)
    os.kill(fleet.pid, signal.SIGTERM)
    assert fleet.wait(timeout_seconds=20) == 0
    assert acknowledged(local, 1) == offered(local, 1)
    eventually(lambda: set(received(second)) >= offered(local, 1) - settled, what="the readings")


def test_a_fleet_without_a_broker_runs_to_its_end_and_reports_what_is_left(
    local: LocalStack, broker: Broker, fleet_file: Path
) -> None:
    fleet = local.start_fleet(
        fleet_file,
        devices=12,
        duration_seconds=4,
        settings={"SENSORS_DRAIN_SECONDS": "0.5", "SENSORS_OUTBOX_READINGS": "10"},
    )
    eventually(lambda: metric(fleet, "running_seconds") > 0, what="the first readings")
    broker.kill()
    assert fleet.wait(timeout_seconds=20) == 0
    by_qos = report(fleet)["by_qos"]
    assert by_qos["1"]["unfinished"] == by_qos["2"]["unfinished"] == 4 * 10
    for level in by_qos.values():
        ends = ("acknowledged", "refused", "dropped", "unfinished")
        ended = sum(level[end] for end in ends) + (level is by_qos["0"]) * level["published"]
        assert ended == level["offered"]
    for qos, level in by_qos.items():
        told = sum(one.ends.count(DROPPED) for one in sessions(local) if one.qos == int(qos))
        assert told == level["dropped"] > 0


def test_the_processs_own_figures_are_those_on_its_metrics_page(
    local: LocalStack, listen: Callable[..., Listener], fleet_file: Path
) -> None:
    listener = listen("telemetry/#")
    fleet = local.start_fleet(
        fleet_file,
        devices=12,
        duration_seconds=1,
        settings={"SENSORS_FIGURES_INTERVAL_MS": "300"},
    )
    assert fleet.wait(timeout_seconds=20) == 0
    offered = {
        f"offered_readings_qos{qos}": level["offered"]
        for qos, level in report(fleet)["by_qos"].items()
    }

    def figures() -> list[dict[str, Any]]:
        topic = "telemetry/denyut/sensors-1/denyut_sensors"
        return [msgspec.json.decode(payload) for payload in listener.payloads(topic)]

    # The last ones may still be on their way to the listener when the fleet has ended.
    eventually(
        lambda: len(figures()) >= 3 and offered.items() <= figures()[-1]["values"].items(),
        what="the figures of the end",
    )
    last = figures()[-1]
    assert last.keys() == {"ts", "values"}
    assert last["values"]["fleet_devices"] == 12
    assert last["values"]["running_seconds"] > 0.9


def test_devices_reach_a_broker_at_its_unix_socket_and_again_after_its_restart(
    local: LocalStack, fleet_file: Path
) -> None:
    broker = local.start_broker(with_socket=True)
    local.start_ingest()
    told = {"SENSORS_BROKER_SOCKET": str(broker.socket_path), "SENSORS_BROKER_PORT": "1"}
    fleet = local.start_fleet(fleet_file, devices=12, settings=told)
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    broker.restart()
    eventually(lambda: metric(fleet, "connected_devices") == 12, what="all of them again")
    before = metric(fleet, "acknowledged_readings")
    eventually(
        lambda: metric(fleet, "acknowledged_readings") > before + 50, what="acknowledgements"
    )
    assert metric(fleet, "lost_connections") == 12
