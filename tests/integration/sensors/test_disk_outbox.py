"""Readings that wait on disk: over a process's death, past the memory's share and the budget."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from sensors.counters import Counters
from sensors.journal import Journal
from sensors.keeping import Keeping
from sensors.ledgers import NoLedger
from stack.broker import Broker
from stack.local import LocalStack
from stack.process import ProcessFailed
from stack.services import Fleet
from telemetry import log
from telemetry.ledger import ACKNOWLEDGED, DROPPED, Session, read_ledger
from telemetry.payload.native import encode_native
from telemetry.rarelog import RareLog
from telemetry.reading import Reading
from tests.eventually import eventually, eventually_async
from tests.fleets import PATIENT
from tests.integration.sensors.answers import QOS_1_PUBLISH, answer, published_id, published_payload
from tests.integration.sensors.conftest import Listener, StartSender
from tests.integration.sensors.test_fleet_run import (
    acknowledged,
    metric,
    offered,
    received,
    report,
    sessions,
)
from tests.scripted_broker import PINGREQ, PUBACK, ScriptedBroker, scripted_broker
from tests.uplinks import Publisher

DEVICES = 12


def ends(local: LocalStack, *levels: int) -> list[int]:
    return [
        end
        for session in sessions(local)
        if session.qos in levels
        for end, time_ms in zip(session.ends, session.times_ms, strict=True)
        if time_ms >= 0
    ]


def start(
    local: LocalStack, fleet_file: Path, folder: Path, *, devices: int = DEVICES, **told: str
) -> Fleet:
    settings = {"SENSORS_OUTBOX_DIR": str(folder)}
    settings |= {f"SENSORS_{name.upper()}": value for name, value in told.items()}
    return local.start_fleet(fleet_file, devices=devices, settings=settings)


def kill_while_readings_wait(broker: Broker, fleet: Fleet) -> None:
    """Kill the fleet when each outbox holds more than may be in flight, before a halted broker."""
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    os.kill(broker.pid, signal.SIGSTOP)
    eventually(lambda: metric(fleet, "outbox_readings") > 8 * 30, what="waiting readings")
    fleet.kill()
    os.kill(broker.pid, signal.SIGCONT)


def stop(fleet: Fleet) -> None:
    os.kill(fleet.pid, signal.SIGTERM)
    assert fleet.wait(timeout_seconds=20) == 0


def boots(local: LocalStack) -> dict[int, list[Session]]:
    found: dict[int, list[Session]] = {}
    for session in sessions(local):
        found.setdefault(session.boot_ms, []).append(session)
    return dict(sorted(found.items()))


def acknowledged_in_last_file(local: LocalStack) -> int:
    """Count the earlier boot's acknowledgements in the later process's ledger."""
    *_, last = sorted(local.ledger_folder.iterdir())
    earliest = min(one.boot_ms for one in sessions(local))
    again = [one for one in read_ledger([last]).sessions if one.boot_ms == earliest]
    return sum(one.ends.count(ACKNOWLEDGED) for one in again)


def test_readings_that_wait_on_disk_survive_a_killed_process(
    local: LocalStack,
    broker: Broker,
    listen: Callable[..., Listener],
    fleet_file: Path,
    tmp_path: Path,
) -> None:
    listener = listen("telemetry/home/#")
    fleet = start(local, fleet_file, tmp_path)
    kill_while_readings_wait(broker, fleet)
    waiting = offered(local, 1, 2) - acknowledged(local, 1, 2)
    assert len(waiting) > 8 * 30
    fleet.start()
    eventually(lambda: metric(fleet, "acknowledged_readings") > len(waiting) + 50)
    stop(fleet)
    assert set(ends(local, 1, 2)) == {ACKNOWLEDGED}
    assert [len(one) for one in boots(local).values()] == [DEVICES, DEVICES]
    assert acknowledged_in_last_file(local) >= len(waiting), "it makes sense alone"
    by_qos = report(fleet)["by_qos"]
    taken_over = by_qos["1"]["taken_over"] + by_qos["2"]["taken_over"]
    assert taken_over >= len(waiting)
    for level in (by_qos["1"], by_qos["2"]):
        assert level["acknowledged"] == level["offered"] + level["taken_over"]
    eventually(lambda: waiting <= set(received(listener)), what="the earlier boot's readings")
    assert [path.name for path in (tmp_path / "sensors-1").iterdir()] == ["lock"]


def open_keeping(folder: Path, boot_ms: int) -> Keeping:
    journal = Journal(folder, 1_000_000)
    return Keeping(journal, boot_ms, NoLedger(), Counters(), RareLog(log.get("test")))


def publish(sender: Publisher, boot_ms: int, count: int) -> None:
    for seq in range(count):
        reading = Reading("home", "a", "m", boot_ms + seq, {"x": 1.0}, boot_ms, seq)
        sender.publish(payload=encode_native(reading))


def seen(broker: ScriptedBroker) -> list[tuple[int, int]]:
    payloads = [published_payload(one) for one in broker.kinds(QOS_1_PUBLISH)]
    return [(one["boot"], one["seq"]) for one in map(msgspec.json.decode, payloads)]


async def test_a_new_process_publishes_the_earlier_boots_readings_first_and_20_in_all(
    start_sender: StartSender, tmp_path: Path
) -> None:
    async with scripted_broker() as broker:
        keeping = open_keeping(tmp_path, boot_ms=1)
        sender = await start_sender(1, port=broker.port, keeping=keeping)
        publish(sender, 1, 30)
        await eventually_async(lambda: len(seen(broker)) == 20, what="a full window")
        answer(broker, PUBACK, published_id(broker.kinds(QOS_1_PUBLISH)[3]))
        await eventually_async(lambda: sender.acknowledged == [3], what="an acknowledgement")
        keeping.close()
    left = [(1, seq) for seq in range(30) if seq != 3]
    async with scripted_broker() as broker:
        keeping = open_keeping(tmp_path, boot_ms=2)
        sender = await start_sender(1, port=broker.port, keeping=keeping, keepalive_seconds=1)
        publish(sender, 2, 10)
        # What was sent before a ping has been seen once the ping has.
        await eventually_async(lambda: broker.kinds(PINGREQ), what="a ping")
        assert seen(broker) == left[:20]
        new = [(2, seq) for seq in range(10)]
        for count in range(39):
            await eventually_async(lambda count=count: len(seen(broker)) > count)  # type: ignore[misc]
            answer(broker, PUBACK, published_id(broker.kinds(QOS_1_PUBLISH)[count]))
        assert seen(broker) == left + new
        await eventually_async(lambda: not sender.uplink.unfinished, what="an empty outbox")
        keeping.close()


def test_past_the_memorys_share_readings_wait_on_disk_and_none_is_dropped(
    local: LocalStack,
    broker: Broker,
    fleet_file: Path,
    tmp_path: Path,
    listen: Callable[..., Listener],
) -> None:
    listen("telemetry/home/#")
    fleet = start(local, fleet_file, tmp_path, outbox_readings="5")
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    os.kill(broker.pid, signal.SIGSTOP)
    eventually(lambda: metric(fleet, "outbox_readings") > 8 * 20, what="waiting readings")
    assert metric(fleet, "outbox_disk_readings") >= 8 * 20
    os.kill(broker.pid, signal.SIGCONT)
    stop(fleet)
    assert set(ends(local, 1, 2)) == {ACKNOWLEDGED}
    assert report(fleet)["by_qos"]["1"]["dropped"] == 0


def test_past_the_disks_budget_the_oldest_are_dropped_and_counted(
    local: LocalStack, broker: Broker, tmp_path: Path, listen: Callable[..., Listener]
) -> None:
    listen("telemetry/home/#")
    path = tmp_path / "fast.toml"
    path.write_text(
        '[fleet]\nname = "fast"\nseed = 1\n[[groups]]\nname = "d"\ncount = 12\nsite = "home"\n'
        'profile = "weather-station"\nqos = [1, 2]\nperiod_ms = 5\n'
        f"[run]\n{PATIENT}"
    )
    fleet = start(local, path, tmp_path, outbox_bytes="1000000", outbox_readings="5")
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    os.kill(broker.pid, signal.SIGSTOP)
    eventually(lambda: metric(fleet, "dropped_readings") > 500, what="dropped readings")
    assert metric(fleet, "outbox_disk_bytes") <= 1_000_000
    os.kill(broker.pid, signal.SIGCONT)
    stop(fleet)
    by_qos = report(fleet)["by_qos"]
    assert ends(local, 1, 2).count(DROPPED) == by_qos["1"]["dropped"] + by_qos["2"]["dropped"]
    assert set(ends(local, 1, 2)) == {ACKNOWLEDGED, DROPPED}
    for session in [one for one in sessions(local) if one.qos]:
        first, last = session.ends.find(DROPPED), session.ends.rfind(DROPPED)
        assert session.ends.count(DROPPED) >= 0.9 * (last - first), "the oldest, one after another"
        assert session.ends[-1] == ACKNOWLEDGED


def test_what_was_left_for_devices_that_are_not_there_stays_for_them(
    local: LocalStack,
    broker: Broker,
    listen: Callable[..., Listener],
    fleet_file: Path,
    tmp_path: Path,
) -> None:
    listen("telemetry/home/#")
    kill_while_readings_wait(broker, start(local, fleet_file, tmp_path))
    waiting = offered(local, 1, 2) - acknowledged(local, 1, 2)
    few = start(local, fleet_file, tmp_path, devices=6)
    eventually(lambda: metric(few, "acknowledged_readings") > len(waiting) // 2)
    stop(few)
    assert any("of_no_device_here" in line for line in few.log_path.read_text().splitlines())
    still = offered(local, 1, 2) - acknowledged(local, 1, 2)
    assert {device for device, _ in still} == {f"d-{number:05}" for number in (7, 8, 10, 11)}
    assert still < waiting
    all_of_them = start(local, fleet_file, tmp_path)
    eventually(lambda: metric(all_of_them, "acknowledged_readings") > len(still) + 50)
    stop(all_of_them)
    assert set(ends(local, 1, 2)) == {ACKNOWLEDGED}


def test_a_second_process_on_one_folder_is_refused_in_one_line(
    local: LocalStack, broker: Broker, fleet_file: Path, tmp_path: Path
) -> None:
    assert broker.is_running
    # Nobody subscribes: at its end it would wait for somebody.
    start(local, fleet_file, tmp_path, drain_seconds="0")
    with pytest.raises(ProcessFailed, match="exit code 2") as failed:
        start(local, fleet_file, tmp_path)
    assert "another process has it" in failed.value.log.splitlines()[-1]


def test_without_a_folder_nothing_is_written(
    local: LocalStack, broker: Broker, fleet_file: Path, listen: Callable[..., Listener]
) -> None:
    assert broker.is_running
    listen("telemetry/home/#")
    fleet = local.start_fleet(fleet_file, devices=DEVICES, settings={"SENSORS_OUTBOX_DIR": ""})
    eventually(lambda: metric(fleet, "acknowledged_readings") > 50, what="acknowledgements")
    assert "outbox_disk" not in fleet.get("/metrics")[1].replace("outbox_disk_failures", "")
