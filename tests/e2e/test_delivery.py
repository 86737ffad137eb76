"""The delivery promise, end to end on real parts: device, broker, ingest, store, audit."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client.parser import text_string_to_metric_families

from stack.local import LocalStack
from stack.services import Service
from telemetry.audit import AuditReport, audit
from telemetry.ledger import read_ledger
from tests.eventually import STALL_SECONDS, eventually

DEVICES = 60
RUN_SECONDS = 8


def figure(service: Service, name: str, *, of: str = "ingest") -> float:
    """A metric of ingest, or of another service, its labels added up."""
    families = text_string_to_metric_families(service.get("/metrics")[1])
    return sum(
        sample.value
        for family in families
        if family.name == f"denyut_{of}_{name}"
        for sample in family.samples
    )


def audited(local: LocalStack) -> AuditReport:
    store = local.open_store()
    try:
        return audit(read_ledger([local.ledger_folder]), store.sequences())
    finally:
        store.close()


def lost(report: AuditReport) -> int:
    return report.by_qos[1].lost + report.by_qos[2].lost


@contextmanager
def silent_store(local: LocalStack) -> Iterator[None]:
    """Keep the store's write lock, so that what ingest receives stays unacknowledged."""
    path = local.store_url.removeprefix("sqlite:///")
    connection = sqlite3.connect(path, isolation_level=None, timeout=10)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def run_fleet_and_kill_ingest(local: LocalStack, module: str) -> AuditReport:
    """Kill ingest while it holds unacknowledged readings, start it again, and audit at the end."""
    local.start_broker()
    ingest = local.start_ingest(module=module)
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS)
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    with silent_store(local):
        eventually(lambda: figure(ingest, "in_flight_readings") > DEVICES, what="readings held")
        ingest.kill()
    ingest.start()
    fleet.wait(RUN_SECONDS + 20)
    return settled_audit(local, ingest)


def settled_audit(local: LocalStack, ingest: Service) -> AuditReport:
    """Audit once ingest has nothing more to do, or after some seconds."""
    end = time.monotonic() + 5 + STALL_SECONDS
    while lost(audited(local)) and time.monotonic() < end:
        time.sleep(0.1)
    eventually(lambda: figure(ingest, "in_flight_readings") == 0, what="nothing held")
    return audited(local)


def test_ingest_killed_under_load_loses_nothing_acknowledged(local: LocalStack) -> None:
    report = run_fleet_and_kill_ingest(local, "ingest")

    assert report.promise_kept, report.findings
    assert all(report.by_qos[qos].acknowledged for qos in (1, 2))
    assert report.by_qos[1].acknowledged == report.by_qos[1].stored


def test_an_ingest_that_acknowledges_before_the_write_is_found_out(local: LocalStack) -> None:
    report = run_fleet_and_kill_ingest(local, "tests.e2e.early_acknowledgement")

    assert lost(report) > 0
    assert not report.promise_kept


def test_a_terminated_ingest_stores_what_it_holds_and_resumes_its_session(
    local: LocalStack,
) -> None:
    local.start_broker()
    ingest = local.start_ingest(settings={"INGEST_FLUSH_INTERVAL_MS": "5000"})
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS)
    eventually(lambda: figure(ingest, "in_flight_readings") > DEVICES, what="readings held")

    ingest.terminate()

    assert ingest.wait(10) == 0
    ingest.start()
    fleet.wait(RUN_SECONDS + 20)
    assert settled_audit(local, ingest).promise_kept
