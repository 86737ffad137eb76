"""Row 27 for the clients: the whole way over TLS, and a broker that nobody must talk to."""

from pathlib import Path

import msgspec
import pytest

from broker.certificates import Authority, Issued
from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from tests.certificates import restart_showing
from tests.e2e.test_delivery import figure, settled_audit
from tests.eventually import eventually
from tests.fleets import PATIENT

DEVICES = 60
RUN_SECONDS = 8
HOST = "127.0.0.1"


@pytest.fixture
def busy_fleet(tmp_path: Path) -> Path:
    """A fleet at all levels whose devices send ten times a second."""
    path = tmp_path / "busy.toml"
    path.write_text(
        f'[fleet]\nname = "busy"\nseed = 1\n[[groups]]\nname = "d"\ncount = {DEVICES}\n'
        'site = "home"\nprofile = "machine"\nqos = [0, 1, 2]\nperiod_ms = 100\n'
        f"[run]\n{PATIENT}"
    )
    return path


def untrusting(service: Service) -> bool:
    """Tell whether a service says in an ERROR line that it does not trust the broker."""
    lines = [msgspec.json.decode(line) for line in service.log_tail(1000).splitlines()]
    words = [f"{line.get('problem', '')}{line.get('why', '')}" for line in lines]
    said = [
        line["level"]
        for line, word in zip(lines, words, strict=True)
        if word.startswith("the broker's certificate is not trusted: ")
    ]
    return "error" in said


def clients_since(broker: Broker, log_bytes: int) -> int:
    """Return how many clients the broker has known since its log had so many bytes."""
    return broker.log_path.read_bytes()[log_bytes:].count(b"New client connected")


@pytest.mark.parametrize("mutual", [False, True], ids=["server's certificate", "both sides'"])
def test_a_fleet_over_tls_loses_nothing(local: LocalStack, busy_fleet: Path, mutual: bool) -> None:
    local.start_broker(tls=True, require_certificate=mutual)
    ingest = local.start_ingest()
    api = local.start_api()
    fleet = local.start_fleet(busy_fleet, devices=DEVICES, duration_seconds=RUN_SECONDS)

    assert fleet.wait(RUN_SECONDS + 20) == 0

    report = settled_audit(local, ingest)
    assert report.promise_kept, report.findings
    for qos in (1, 2):
        assert report.by_qos[qos].acknowledged == report.by_qos[qos].stored > 1000
    assert api.lacks() is None
    assert figure(ingest, "link_timeouts") == 0


@pytest.mark.parametrize(
    "shown",
    [Authority.make("another").issue_server([HOST]), None],
    ids=["another authority's", "an expired one"],
)
def test_nobody_talks_to_a_broker_with_a_bad_certificate_until_it_is_mended(
    local: LocalStack,
    busy_fleet: Path,
    monkeypatch: pytest.MonkeyPatch,
    shown: Issued | None,
) -> None:
    broker = local.start_broker(tls=True)
    ingest, api = local.start_ingest(), local.start_api()
    fleet = local.start_fleet(busy_fleet, devices=DEVICES, settings={"SENSORS_DRAIN_SECONDS": "30"})
    eventually(lambda: figure(ingest, "written_readings") > DEVICES, what="readings stored")
    bad = shown or local.authority.issue_server([HOST], days=-1)
    broker.stop()
    written = broker.log_path.stat().st_size

    restart_showing(broker, bad, monkeypatch)
    parts = (fleet, ingest, api)
    eventually(lambda: all(map(untrusting, parts)), deadline_seconds=20, what="three ERROR lines")
    assert clients_since(broker, written) == 0

    restart_showing(broker, local.authority.issue_server([HOST]), monkeypatch)
    eventually(
        lambda: not any(part.lacks() for part in parts), deadline_seconds=60, what="the way back"
    )
    fleet.terminate()
    assert fleet.wait(40) == 0
    report = settled_audit(local, ingest)
    assert report.promise_kept, report.findings
    assert not any("Traceback" in part.log_tail(1000) for part in parts)
