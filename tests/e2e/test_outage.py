"""A store that is away for long: batches go to the spool, and come back from it in time."""

from pathlib import Path

import pytest

from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.services import Service
from tests.e2e.test_delivery import figure, settled_audit
from tests.eventually import eventually

DEVICES = 60
RUN_SECONDS = 12


def balance(ingest: Service) -> float:
    """What came in less where it is: zero, always."""
    kept = ("written", "quarantined", "spooled", "in_flight", "dropped")
    come = sum(figure(ingest, f"{name}_readings") for name in ("received", "taken_over"))
    return come - sum(figure(ingest, f"{name}_readings") for name in kept)


def spool_while_the_store_is_away(local: LocalStack, influxd: Influxd) -> Service:
    """Kill the store under load, and wait until readings are in the spool."""
    local.start_broker()
    ingest = local.start_ingest(settings={"INGEST_SPOOL_AFTER_MS": "500"})
    local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS)
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    influxd.kill()
    eventually(lambda: figure(ingest, "spooled_readings") > DEVICES, what="readings spooled")
    return ingest


@pytest.mark.timeout(90)
def test_readings_of_an_outage_are_acknowledged_from_the_spool_and_stored_later(
    local: LocalStack, influxd: Influxd
) -> None:
    ingest = spool_while_the_store_is_away(local, influxd)
    acknowledged = figure(ingest, "acknowledged_messages")
    eventually(lambda: figure(ingest, "acknowledged_messages") > acknowledged)
    assert "store" in (ingest.lacks() or "")

    influxd.start()
    local.processes[-1].wait(RUN_SECONDS + 20)

    eventually(lambda: figure(ingest, "spooled_readings") == 0, what="an empty spool")
    report = settled_audit(local, ingest)
    assert report.promise_kept, report.findings
    assert figure(ingest, "replayed_readings") > DEVICES
    assert figure(ingest, "spool_bytes") == 0
    assert balance(ingest) == 0
    assert ingest.lacks() is None


@pytest.mark.timeout(90)
def test_a_spool_outlives_its_ingest_and_is_taken_over_by_the_next_one(
    local: LocalStack, influxd: Influxd
) -> None:
    ingest = spool_while_the_store_is_away(local, influxd)
    ingest.kill()
    held = list((local.folder / "ingest-1" / "spool").glob("*.lp"))
    influxd.start()
    ingest.start()

    assert held
    assert figure(ingest, "taken_over_readings") > DEVICES
    local.processes[-1].wait(RUN_SECONDS + 20)
    eventually(lambda: figure(ingest, "spooled_readings") == 0, what="an empty spool")
    assert settled_audit(local, ingest).promise_kept
    assert not list((local.folder / "ingest-1" / "spool").glob("*.lp"))
    assert balance(ingest) == 0


def test_a_second_ingest_on_the_same_spool_says_so_and_ends(local: LocalStack) -> None:
    local.start_broker()
    local.start_ingest()
    folder = Path(local.folder) / "ingest-1"

    with pytest.raises(Exception, match="in use by another ingest"):
        local.start_ingest("ingest-2", settings={"INGEST_DATA_DIR": str(folder)})
