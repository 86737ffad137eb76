"""A fleet by the ways with sockets: what is promised over each, while ingest dies and is away."""

import io
import time
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from stack.demo import DemoRequest, run_demo
from stack.local import LocalStack
from stack.process import ProcessFailed
from telemetry.audit import AuditReport
from tests.e2e.test_delivery import audited, figure, settled_audit, silent_store
from tests.eventually import eventually
from tests.fleets import VOID

DEVICES = 60


def run_while_ingest_dies(local: LocalStack, name: str, away_seconds: float) -> AuditReport:
    """Kill ingest while it holds unanswered readings, and start it again so much later.

    Over HTTP these are a few requests, in each what waited when it left.
    """
    way = local.ways.named(name)
    ingest = local.start_ingest(ways=[way])
    fleet = local.start_fleet("demo", devices=DEVICES, way=way)
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    with silent_store(local):
        least = 1 if name.startswith("http") else DEVICES
        eventually(lambda: figure(ingest, "in_flight_readings") > least, what="readings held")
        ingest.kill()
    time.sleep(away_seconds)
    ingest.start()
    eventually(lambda: figure(ingest, "written_readings") > 3 * DEVICES, what="readings again")
    fleet.stop()
    return settled_audit(local, ingest)


@pytest.mark.parametrize(
    ("name", "away_seconds"),
    [("tcp", 10), ("tcp-tls", 0), ("unix", 3), ("http", 3), ("https", 0)],
)
def test_an_ingest_that_is_killed_and_away_loses_nothing_that_it_answered_for(
    local: LocalStack, name: str, away_seconds: float
) -> None:
    report = run_while_ingest_dies(local, name, away_seconds)
    assert report.promise_kept, report.findings
    for qos in (1, 2):
        level = report.by_qos[qos]
        assert level.offered == level.acknowledged == level.stored > DEVICES


@pytest.mark.parametrize("name", ["udp", "unixgram"])
def test_what_datagrams_lose_is_counted_by_sequence(local: LocalStack, name: str) -> None:
    way = local.ways.named(name)
    ingest = local.start_ingest(ways=[way])
    fleet = local.start_fleet("demo", devices=DEVICES, qos="0", way=way)
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    with silent_store(local):
        eventually(lambda: figure(ingest, "in_flight_readings") > DEVICES, what="readings held")
        ingest.kill()
    ingest.start()
    eventually(lambda: figure(ingest, "written_readings") > 3 * DEVICES, what="readings again")
    fleet.stop()
    eventually(lambda: figure(ingest, "in_flight_readings") == 0, what="nothing held")
    # What the kernel still held is stored between the one look and the other.
    eventually(lambda: audited(local).by_qos[0].lost == missing(local), what="two counts alike")

    level = audited(local).by_qos[0]
    assert level.lost > level.dropped + DEVICES, "what ingest had in its hand is gone"
    assert level.lost == level.offered - level.stored
    assert (level.phantom, level.duplicated) == (0, 0)


def missing(local: LocalStack) -> int:
    """How many readings are missing from the store, as the sequence numbers of the others tell."""
    store = local.open_store()
    try:
        return sum(one.max_seq + 1 - one.count for one in store.sequence_counts())
    finally:
        store.close()


def test_the_demo_goes_by_another_way_and_the_api_counts_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = DemoRequest(
        fleet="demo",
        devices=20,
        duration_seconds=2,
        qos=None,
        via="unix",
        store="sqlite",
        report=tmp_path / "demo.json",
    )
    said = io.StringIO()
    try:
        code = run_demo(request, Console(file=said))
    except ProcessFailed as error:
        if VOID not in error.log:
            raise
        code = run_demo(request, Console(file=said))
    assert code == 0, said.getvalue()
    left = msgspec.json.decode(request.report.read_bytes())
    assert left["via"] == "unix"
    assert left["by_qos"]["1"]["acknowledged"] == left["by_qos"]["1"]["stored"] > 0
