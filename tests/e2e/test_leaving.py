"""Scaling down: an ingest that leaves for good takes what the broker and its spool hold with it."""

import subprocess
import sys

import msgspec
import pytest

from ingest.sources.mqtt.members_listing import Listing
from stack.local import LocalStack
from stack.services import Service
from tests.e2e.test_delivery import figure, settled_audit
from tests.eventually import eventually

DEVICES = 60
RUN_SECONDS = 10
GROUP = {"INGEST_SHARE_GROUP": "ingest"}


def command(ingest: Service, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command with the settings of an ingest."""
    return subprocess.run(
        [sys.executable, "-m", "ingest", *arguments],
        env=ingest.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.timeout(90)
def test_what_is_parked_for_an_ingest_that_leaves_is_stored(local: LocalStack) -> None:
    local.start_broker()
    first, second = (local.start_ingest(name, settings=GROUP) for name in ("ingest-1", "ingest-2"))
    fleet = local.start_fleet("demo", devices=DEVICES, duration_seconds=RUN_SECONDS)
    for ingest in (first, second):
        eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")  # noqa: B023
    second.terminate()
    assert second.wait(15) == 0
    fleet.wait(RUN_SECONDS + 20)

    left = command(second, "leave", "--client-id", "ingest-2", "--quiet-seconds", "1")

    assert left.returncode == 0, left.stderr
    assert "the session has ended" in left.stdout
    drained = int(left.stdout.rpartition("; ")[2].split()[0].replace(",", ""))
    assert drained > DEVICES
    report = settled_audit(local, first)
    assert report.promise_kept, report.findings
    again = command(second, "leave", "--client-id", "ingest-2", "--quiet-seconds", "0.2")
    assert "; 0 readings came out of it" in again.stdout


def test_an_ingest_that_still_runs_does_not_leave(local: LocalStack) -> None:
    local.start_broker()
    ingest = local.start_ingest()

    left = command(ingest, "leave", "--client-id", "ingest-1")

    assert left.returncode == 2
    assert "in use by another ingest" in left.stderr


def test_members_are_listed_with_who_is_away(local: LocalStack) -> None:
    local.start_broker()
    first, second = (local.start_ingest(name, settings=GROUP) for name in ("ingest-1", "ingest-2"))
    second.terminate()
    assert second.wait(15) == 0

    listed = command(first, "members")
    as_json = msgspec.json.decode(command(first, "members", "--json").stdout, type=Listing)

    assert listed.stdout.splitlines()[:2] == [
        "ingest-1: online, group ingest",
        "ingest-2: offline, group ingest",
    ]
    assert [(one.client_id, one.state) for one in as_json.members] == [
        ("ingest-1", "online"),
        ("ingest-2", "offline"),
    ]
    assert command(second, "leave", "--client-id", "ingest-2").returncode == 0
    assert "ingest-2" not in command(first, "members").stdout


def test_members_of_a_broker_that_is_away_are_one_line(local: LocalStack) -> None:
    broker = local.start_broker()
    ingest = local.start_ingest(settings=GROUP)
    broker.stop()

    asked = command(ingest, "members")

    assert asked.returncode == 2
    assert len(asked.stderr.splitlines()) == 1
