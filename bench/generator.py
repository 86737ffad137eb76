"""The sensors as a load generator: CPU a message against paho alone, memory, lateness, reach."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from bench.paho_alone import Order, Result
from bench.pipeline import FLEET, figure
from bench.row import Row, at_most
from sensors.report import Report
from stack import StackError
from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Fleet
from stack.waiting import holds_within

_ISSUE = 9
_CONNECTIONS = 500
_MESSAGES_PER_SECOND = 2500
_SECONDS = 8
_ROUNDS = 2
_MOST_RATIO = 1.3

_DEVICES, _RATE = 1_000, 5_000
_LEAST_SHARE = 0.98
# The first of several is not judged while the others start, nor the last while the first ends.
_STAGES = """
[[stages]]
name = "alone"
for_s = 8

[[stages]]
name = "together"
for_s = 20

[[stages]]
name = "alone again"
for_s = 8
"""

_MANY = 10_000
MANY_FLEET = """
[fleet]
name = "many"
seed = 1

[[groups]]
name = "node"
count = 10000
site = "bench"
profile = "smart-meter"
period_ms = 10000
keepalive_seconds = 60
"""


def cost_against_paho() -> Iterator[Row]:
    """500 connections, 2,500 messages/s, in turn with paho alone; the least of each counts."""
    for qos in (0, 1, 2):
        with LocalStack() as local:
            broker = local.start_broker()
            ingest = local.start_ingest()
            ours: list[float] = []
            alone: list[float] = []
            for number in range(_ROUNDS):
                ours.append(_ours_us(local, f"sensors-{number}", qos))
                alone.append(_alone_us(broker, qos))
            ingest.stop()
        ratio = min(ours) / min(alone)
        yield Row(
            f"sensors CPU a message at QoS {qos}, against paho's own, us",
            round(min(ours), 1),
            round(min(alone), 1),
            round(ratio, 3),
            f"<= {_MOST_RATIO:g} times",
            ratio <= _MOST_RATIO,
            _ISSUE,
        )


def lateness() -> Iterator[Row]:
    """5,000 messages/s at QoS 1 from one process, then 10,000 from two: how late they are made."""
    late = max(_late_p99_ms(processes=1))
    yield at_most("sensors lateness p99 at 5,000 messages/s, QoS 1", late, 10, "ms", issue=_ISSUE)
    late = max(_late_p99_ms(processes=2))
    name = "sensors lateness p99 at 10,000 messages/s from two processes, QoS 1"
    yield at_most(name, late, 10, "ms", issue=_ISSUE)


def _late_p99_ms(*, processes: int) -> list[int]:
    """Return the lateness of each process while all of them were at work."""
    with LocalStack() as local:
        path = local.folder / "staged.toml"
        path.write_text(FLEET.read_text() + _STAGES)
        local.start_broker().admit(local.device_names(path, _DEVICES, slots=processes))
        local.start_ingest()
        fleets = [
            local.start_fleet(
                path,
                devices=_DEVICES,
                qos="1",
                client_id=f"sensors-{slot}",
                settings={"SENSORS_SLOT": str(slot)},
            )
            for slot in range(1, processes + 1)
        ]
        while any(fleet.is_running for fleet in fleets):
            time.sleep(0.5)
        return [_late_in_stage(fleet) for fleet in fleets]


def _late_in_stage(fleet: Fleet) -> int:
    report = msgspec.json.decode(fleet.report_path.read_bytes(), type=Report)
    stage = next(stage for stage in report.stages if stage.name == "together")
    rate = stage.offered / stage.seconds
    if report.void is not None or rate < _LEAST_SHARE * _RATE:
        raise StackError(f"void: {report.void or f'only {rate:.0f} messages/s were made'}")
    return stage.late_p99_ms


def ten_thousand() -> Iterator[Row]:
    """10,000 devices in one process, 1,000 messages/s: all connected, and memory for each."""
    with LocalStack() as local, TemporaryDirectory() as folder:
        path = Path(folder) / "many.toml"
        path.write_text(MANY_FLEET)
        local.start_broker()
        local.start_ingest()
        few = _resident_bytes(local, path, 10, "sensors-1")
        many = _resident_bytes(local, path, _MANY, "sensors-2")
    kilobytes = (many - few) / (_MANY - 10) / 1000
    name = "sensors memory a connection, 10,000 devices in one process"
    yield at_most(name, kilobytes, 50, "KB", issue=_ISSUE)


def _resident_bytes(local: LocalStack, path: Path, devices: int, client_id: str) -> int:
    told = {"SENSORS_START_TIMEOUT_SECONDS": "180"}
    fleet = local.start_fleet(path, devices=devices, qos="1", client_id=client_id, settings=told)
    if not holds_within(lambda: figure(fleet, "sensors", "connected_devices") >= devices, 240):
        raise StackError(f"void: not all of {devices} devices connected")
    if not holds_within(lambda: figure(fleet, "sensors", "acknowledged_readings") > devices, 60):
        raise StackError("void: the readings did not begin")
    resident = fleet.usage().resident_bytes
    fleet.stop()
    return resident


def _ours_us(local: LocalStack, client_id: str, qos: int) -> float:
    fleet = local.start_fleet(FLEET, devices=_CONNECTIONS, qos=str(qos), client_id=client_id)
    if not holds_within(lambda: _published(fleet) > _CONNECTIONS, 60):
        raise StackError("void: the fleet did not begin")
    messages, cpu_s = _published(fleet), fleet.usage().cpu_seconds
    time.sleep(_SECONDS)
    messages, cpu_s = _published(fleet) - messages, fleet.usage().cpu_seconds - cpu_s
    fleet.stop()
    if messages < 0.95 * _MESSAGES_PER_SECOND * _SECONDS:
        raise StackError(f"void: only {messages:.0f} messages in {_SECONDS} s")
    return cpu_s / messages * 1e6


def _published(fleet: Fleet) -> float:
    return figure(fleet, "sensors", "published_readings")


def _alone_us(broker: Broker, qos: int) -> float:
    names = [f"alone-{index:05d}" for index in range(_CONNECTIONS)]
    broker.admit(names)
    order = Order(
        broker.host,
        broker.port,
        [(name, broker.password(name), f"reply/bench/{name}/empty") for name in names],
        qos,
        _MESSAGES_PER_SECOND,
        _SECONDS,
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench.paho_alone"],
        input=msgspec.json.encode(order),
        capture_output=True,
        timeout=_SECONDS + 120,
        check=False,
    )
    if done.returncode:
        raise StackError(f"void: paho alone failed: {done.stderr.decode()[-300:]}")
    result = msgspec.json.decode(done.stdout, type=Result)
    return result.cpu_seconds / result.messages * 1e6
