"""The whole pipeline on this machine: its latency, loss and memory at a steady rate."""

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from bench.row import Row, at_most
from stack import StackError
from stack.local import LocalStack
from stack.services import Fleet, Service
from stack.waiting import holds_within
from telemetry.audit import AuditReport, audit
from telemetry.latency import Latencies
from telemetry.ledger import read_ledger

FLEET = Path(__file__).with_name("steady.toml")
_DEVICES = 1000
_SECONDS = 60
_READINGS_PER_SECOND = 5000
_LATE_SHARE = 0.98  # of the rate that the fleet must have offered for the run to count
_MANY = 2000
_MEGABYTE = 1_000_000
_SETTLED_WITHIN_SECONDS = 20


def steady_rate() -> Iterator[Row]:
    """5,000 readings/s at QoS 1 for a minute: loss, latency, and ingest's memory."""
    with LocalStack() as local:
        local.start_broker()
        ingest = local.start_ingest()
        local.start_api()
        fleet = local.start_fleet(FLEET, devices=_DEVICES, qos="1", duration_seconds=_SECONDS)
        most_bytes = _watch(fleet, ingest)
        report = _settled(local, ingest)
    level = report.by_qos[1]
    if level.offered < _LATE_SHARE * _READINGS_PER_SECOND * _SECONDS:
        raise StackError(f"void: only {level.offered} readings were offered in {_SECONDS} s")
    latency = level.latency_ms.p99 or 0.0
    at = "at 5,000 readings/s, QoS 1"
    yield at_most(f"pipeline lost {at}", level.lost, 0, "readings", issue=3)
    yield at_most(f"ingest due to queryable p99 {at}", latency, 500, "ms", issue=3)
    yield at_most(f"ingest memory {at}", most_bytes / _MEGABYTE, 150, "MB", issue=3)


def many_connections() -> Iterator[Row]:
    """2,000 device connections from one sensors process: memory a connection."""
    with LocalStack() as local:
        local.start_broker()
        local.start_ingest()
        few = _connected_bytes(local, 10, "sensors-1")
        many = _connected_bytes(local, _MANY, "sensors-2")
    kilobytes = (many - few) / (_MANY - 10) / 1000
    yield at_most("sensors memory a connection, 2,000 devices", kilobytes, 100, "KB", issue=3)


def _connected_bytes(local: LocalStack, devices: int, client_id: str) -> int:
    fleet = local.start_fleet("demo", devices=devices, client_id=client_id)
    holds_within(lambda: figure(fleet, "sensors", "connected_devices") >= devices, 60)
    connected = figure(fleet, "sensors", "connected_devices")
    if connected < devices:
        raise StackError(f"void: only {connected:.0f} of {devices} devices connected")
    resident = fleet.usage().resident_bytes
    fleet.stop()
    return resident


def _watch(fleet: Fleet, ingest: Service) -> int:
    """Wait for the fleet's end; return the most bytes of memory that ingest held meanwhile."""
    most_bytes = 0
    while fleet.is_running:
        most_bytes = max(most_bytes, ingest.usage().resident_bytes)
        time.sleep(0.5)
    if fleet.returncode:
        raise fleet.failure(f"ended with exit code {fleet.returncode}")
    return most_bytes


def _settled(local: LocalStack, ingest: Service) -> AuditReport:
    holds_within(
        lambda: not figure(ingest, "ingest", "in_flight_readings"), _SETTLED_WITHIN_SECONDS
    )
    store = local.open_store()
    report = audit(read_ledger([local.ledger_folder]), store.sequences())
    store.close()
    latencies = Latencies()
    latencies.add_encoded(msgspec.json.decode(ingest.get("/latency")[1]))
    report.by_qos[1].latency_ms = latencies.summary("1")
    return report


def figure(service: Service, room: str, name: str, *, timeout_seconds: float = 2.0) -> float:
    """Return a metric of a service, its labels added up."""
    families = text_string_to_metric_families(service.get("/metrics", timeout_seconds)[1])
    wanted = f"denyut_{room}_{name}"
    return sum(
        sample.value for family in families if family.name == wanted for sample in family.samples
    )
