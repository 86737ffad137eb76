"""What the outbox's disk costs a device's process, in CPU a reading."""

import time
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bench.row import Row
from stack import StackError
from stack.local import LocalStack
from stack.services import Fleet
from stack.waiting import holds_within

_FLEET = Path(__file__).with_name("steady.toml")
_DEVICES = 500
_SECONDS = 8
_ROUNDS = 2
_ISSUE = 5
_MOST_RATIO = 1.1


def disk_outbox() -> Iterator[Row]:
    """2,500 readings/s with and without SENSORS_OUTBOX_DIR, in turn; the least of each counts."""
    for qos in ("1", "2"):
        with LocalStack() as local:
            local.start_broker()
            local.start_ingest()
            measured: dict[bool, list[float]] = {False: [], True: []}
            for number in range(_ROUNDS):
                for on_disk, found in measured.items():
                    client_id = f"sensors-{number}-{int(on_disk)}"
                    folder = str(local.folder / "outbox") if on_disk else ""
                    found.append(_cpu_us(local, client_id, qos, folder))
        memory, disk = min(measured[False]), min(measured[True])
        yield Row(
            f"sensors CPU a reading at QoS {qos}, outbox on disk against memory alone",
            round(disk, 1),
            round(memory, 1),
            round(disk / memory, 3),
            f"<= {_MOST_RATIO:g} times",
            disk <= _MOST_RATIO * memory,
            _ISSUE,
        )


def _cpu_us(local: LocalStack, client_id: str, qos: str, folder: str) -> float:
    fleet = local.start_fleet(
        _FLEET,
        devices=_DEVICES,
        qos=qos,
        client_id=client_id,
        settings={"SENSORS_OUTBOX_DIR": folder},
    )
    if not holds_within(lambda: _acknowledged(fleet) > _DEVICES, 60):
        raise StackError("void: the fleet did not begin")
    readings, seconds = _acknowledged(fleet), fleet.usage().cpu_seconds
    time.sleep(_SECONDS)
    readings, seconds = _acknowledged(fleet) - readings, fleet.usage().cpu_seconds - seconds
    fleet.stop()
    return seconds / readings * 1e6


def _acknowledged(fleet: Fleet) -> float:
    families = text_string_to_metric_families(fleet.get("/metrics")[1])
    wanted = "denyut_sensors_acknowledged_readings"
    return sum(
        sample.value for family in families if family.name == wanted for sample in family.samples
    )
