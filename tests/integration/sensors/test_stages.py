"""Runs with a course, an end by count, objectives, and processes that cannot keep up."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stack.broker import Broker
from stack.local import LocalStack
from tests.eventually import eventually
from tests.fleets import PATIENT
from tests.integration.sensors.conftest import Listener
from tests.integration.sensors.test_fleet_run import metric, report, sessions

GROUP = (
    '[fleet]\nname = "staged"\nseed = 1\n[[groups]]\nname = "d"\ncount = 20\nsite = "home"\n'
    'profile = "smart-meter"\nqos = 1\nperiod_ms = 100\n'
)
READINGS_PER_MS = 20 / 100


def write(tmp_path: Path, rest: str) -> Path:
    path = tmp_path / "staged.toml"
    path.write_text(GROUP + rest)
    return path


def run_that_counts(local: LocalStack, path: Path) -> Any:
    """Return the report of a run that is not void, as one is where the machine stood still."""
    for _try in range(3):
        fleet = local.start_fleet(path, devices=20, qos="1")
        code, said = fleet.wait(30), report(fleet)
        if said["void"] is None:
            break
    assert (code, said["void"]) == (0, None)
    return said


def test_stages_change_the_rate_and_end_the_run(
    local: LocalStack, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listen("telemetry/#")
    path = write(
        tmp_path,
        '[[stages]]\nname = "up"\nfor_s = 1\nramp = true\n[[stages]]\nname = "hold"\nfor_s = 1\n'
        '[[stages]]\nname = "spike"\nfor_s = 0.5\nrate = 5\n'
        '[[stages]]\nname = "down"\nfor_s = 1\nrate = 0\nramp = true\n'
        "[objectives]\nacknowledged_share = 1.0\nreadings_per_s = 10\nlost_connections = 0\n",
    )
    said = run_that_counts(local, path)
    offered = {one["name"]: one["offered"] for one in said["stages"]}
    # 200 readings/s at a rate of 1: half as many on the way there, and 500 in half a second at 5.
    for name, expected in (("up", 100), ("hold", 200), ("spike", 500), ("down", 500)):
        assert abs(offered[name] - expected) <= 30, offered
    assert [one["met"] for one in said["verdicts"]] == [True] * 3
    assert all(one["late_p99_ms"] <= said["lateness_ms"]["max"] + 1 for one in said["stages"])
    last_ms = max(one.boot_ms for one in sessions(local))
    times = [
        time_ms for one in sessions(local) if one.boot_ms == last_ms for time_ms in one.times_ms
    ]
    assert max(times) - min(times) <= 3600


def test_a_run_ends_after_so_many_readings_and_an_objective_missed_is_its_exit_code(
    local: LocalStack, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listen("telemetry/#")
    run = f"[run]\nreadings = 150\n{PATIENT}"
    path = write(tmp_path, f"{run}[objectives]\nreadings_per_s = 10000\n")
    fleet = local.start_fleet(path, devices=20, qos="1")
    assert fleet.wait(30) == 1
    said = report(fleet)
    # What became due while the machine stood still is made at once.
    most = 170 + said["lateness_ms"]["max"] * READINGS_PER_MS
    assert 150 <= said["by_qos"]["1"]["offered"] <= most
    assert said["by_qos"]["1"]["acknowledged"] == said["by_qos"]["1"]["offered"]
    assert said["verdicts"][0]["met"] is False


def test_a_process_that_was_held_up_says_that_its_run_is_void(
    local: LocalStack, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listen("telemetry/#")
    fleet = local.start_fleet(write(tmp_path, ""), devices=20, qos="1", duration_seconds=4)
    eventually(lambda: metric(fleet, "offered_readings") > 50, what="the first readings")
    os.kill(fleet.pid, signal.SIGSTOP)
    time.sleep(2.5)  # what is due meanwhile is late: this is the fault itself
    os.kill(fleet.pid, signal.SIGCONT)
    assert fleet.wait(30) == 3
    assert "could not keep up" in report(fleet)["void"]


def test_devices_connect_at_their_pace_and_without_a_barrier_begin_one_by_one(
    local: LocalStack, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listen("telemetry/#")
    run = "[run]\nconnect_per_s = 10\nbarrier = false\nduration_s = 3\n" + PATIENT
    fleet = local.start_fleet(write(tmp_path, run), devices=20, qos="1")
    assert fleet.wait(30) == 0
    firsts = sorted(one.times_ms[0] for one in sessions(local))
    assert firsts[-1] - firsts[0] > 1500
    times = [time_ms for one in sessions(local) for time_ms in one.times_ms]
    assert sum(time_ms < firsts[-1] for time_ms in times) > 10, "before the last one was there"


def test_two_processes_of_one_fleet_share_no_device_and_no_connection(
    local: LocalStack, broker: Broker, listen: Callable[..., Listener], tmp_path: Path
) -> None:
    listen("telemetry/#")
    path = write(tmp_path, f"[run]\n{PATIENT}")
    broker.admit([f"d-{index:05d}" for index in range(20, 40)])
    fleets = [
        local.start_fleet(
            path,
            devices=20,
            qos="1",
            duration_seconds=3,
            client_id=f"sensors-{slot}",
            settings={"SENSORS_SLOT": str(slot)},
        )
        for slot in (1, 2)
    ]
    assert [fleet.wait(30) for fleet in fleets] == [0, 0]
    assert [report(fleet)["lost_connections"] for fleet in fleets] == [0, 0]
    assert len({one.device for one in sessions(local)}) == len(sessions(local)) == 40
