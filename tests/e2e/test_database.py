"""A fleet whose readings go through rows of a database, while ingests and the database die."""

import os
import signal
import time

import pytest
import sqlalchemy as sa

from stack.local import LocalStack
from stack.postgresql import Postgresql
from stack.services import Service
from stack.ways import Way
from telemetry.audit import AuditReport
from telemetry.inbox import inbox_table, open_engine
from telemetry.settings import Secret
from tests.e2e.test_delivery import figure, settled_audit, silent_store
from tests.eventually import eventually

DEVICES = 60
RUN_SECONDS = 5
KINDS = ["database-sqlite", "database-postgresql"]


def waiting(way: Way) -> int:
    """How many rows are in the inbox, claimed or not."""
    url = Secret("", way.ingest["DATABASE_URL_FILE"]).reread()
    engine = open_engine(url, "A_URL", connections=1, timeout_seconds=5.0, name="a test")
    try:
        with engine.connect() as connection:
            table = inbox_table(engine.dialect.name)
            return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
    finally:
        engine.dispose()


def postgresql(local: LocalStack) -> Postgresql:
    return next(one for one in local.processes if isinstance(one, Postgresql))


def check_all_stored_once(local: LocalStack, way: Way, ingest: Service) -> AuditReport:
    eventually(lambda: not waiting(way), deadline_seconds=30, what="every row taken")
    report = settled_audit(local, ingest)
    assert report.promise_kept, report.findings
    for qos in (1, 2):
        level = report.by_qos[qos]
        assert level.offered == level.acknowledged == level.stored > DEVICES
        assert (level.duplicated, level.phantom) == (0, 0)
    return report


@pytest.mark.parametrize("name", KINDS)
def test_an_ingest_that_is_killed_with_rows_in_its_hand_loses_none(
    local: LocalStack, name: str
) -> None:
    way = local.ways.named(name)
    ingest = local.start_ingest(ways=[way])
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS, way=way)
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    with silent_store(local):
        eventually(lambda: figure(ingest, "in_flight_readings") > 0, what="readings held")
        ingest.kill()
    assert waiting(way) > 0
    ingest.start()
    fleet.wait(RUN_SECONDS + 20)

    check_all_stored_once(local, way, ingest)


@pytest.mark.parametrize("name", KINDS)
def test_of_two_ingests_none_takes_a_row_of_the_others_and_one_goes_on_for_both(
    local: LocalStack, name: str
) -> None:
    way = local.ways.named(name)
    # Little in each claim, so that there is something for both.
    few = {"INGEST_DATABASE_ROWS": "20"}
    first, second = (
        local.start_ingest(client_id, ways=[way], settings=few)
        for client_id in ("ingest-1", "ingest-2")
    )
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS, way=way)
    took = [first] if name == "database-sqlite" else [first, second]
    for ingest in took:
        eventually(lambda: figure(ingest, "written_readings") > 20, what="readings stored")  # noqa: B023
    repeats = [figure(ingest, "repeated_readings") for ingest in (first, second)]
    first.kill()
    fleet.wait(RUN_SECONDS + 20)

    check_all_stored_once(local, way, second)
    assert repeats == [0, 0]
    assert figure(second, "written_readings") > 20


def test_a_postgresql_that_is_killed_keeps_what_it_has_committed(local: LocalStack) -> None:
    way = local.ways.named("database-postgresql")
    ingest = local.start_ingest(ways=[way])
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS, way=way)
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    with silent_store(local):
        eventually(lambda: figure(ingest, "in_flight_readings") > 0, what="readings held")
        postgresql(local).kill()
    eventually(lambda: "database" in (ingest.lacks() or ""), what="a problem in /readyz")
    postgresql(local).start()
    fleet.wait(RUN_SECONDS + 20)

    check_all_stored_once(local, way, ingest)
    assert ingest.lacks() is None


def test_an_ingest_whose_database_stands_still_says_so_and_ends_when_it_is_told(
    local: LocalStack,
) -> None:
    way = local.ways.named("database-postgresql")
    ingest = local.start_ingest(ways=[way], settings={"INGEST_DATABASE_TIMEOUT_SECONDS": "1"})
    server = postgresql(local)
    with server.connect() as connection:
        found = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'denyut ingest-1'"
        ).fetchall()
    for (pid,) in found:
        os.kill(pid, signal.SIGSTOP)

    eventually(lambda: "silent" in (ingest.lacks() or ""), what="a problem in /readyz")
    began_s = time.monotonic()
    ingest.terminate()

    assert ingest.wait(10) == 0
    assert time.monotonic() - began_s < 10
    for (pid,) in found:
        os.kill(pid, signal.SIGCONT)
