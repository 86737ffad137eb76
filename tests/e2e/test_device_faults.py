"""Each kind of simulated fault, through the whole pipeline: the audit expects what it does."""

from pathlib import Path

import msgspec
import pytest

from sensors.faults.kinds import PLANS
from stack.local import LocalStack
from telemetry.audit import AuditReport
from tests.e2e.test_delivery import settled_audit
from tests.fleets import PATIENT

SECONDS = 4

# What a file says of each kind, so that it strikes well within the seconds of the run.
SAID = {
    "dropout": "for_s = 1",
    "stuck": "for_s = 2",
    "spike": "chance = 0.5",
    "drift": "per_hour = 100",
    "late": "by_s = 1.5",
    "duplicate": "chance = 0.5",
    "out-of-order": "within_s = 1",
    "clock-skew": "ppm = 100000",
    "clock-jump": "by_ms = -1000\nfor_s = 1",
    "malformed": "chance = 0.3",
    "flapping": "up_s = 0.5\ndown_s = 0.2",
    "slow-link": "bytes_per_s = 3000",
    "reconnect-storm": "away_s = 0.2",
    "low-battery": "lasts_s = 1.5\nslower = 2",
}


def fleet_of(faults: dict[str, str]) -> str:
    """A group of one level each for each fault, and one that has none."""
    text = f'[run]\n{PATIENT}[fleet]\nname = "faulty"\nseed = 1\n'
    for name in ("healthy", *faults):
        text += (
            f'[[groups]]\nname = "{name}"\ncount = 3\nsite = "home"\nqos = [0, 1, 2]\n'
            'profile = "weather-station"\nperiod_ms = 100\n'
        )
        if name in faults:
            text += f'[[groups.faults]]\nfault = "{name}"\nat_s = 0.5\n{faults[name]}\n'
    return text


@pytest.fixture(params=["mqtt", "tcp"])
def report(request: pytest.FixtureRequest, local: LocalStack, tmp_path: Path) -> AuditReport:
    path = tmp_path / "faulty.toml"
    path.write_text(fleet_of(SAID).replace("\\\n", "\n"))
    way, _ = local.ways.chosen(request.param, None)
    if way is None:
        local.start_broker()
    ingest = local.start_ingest(ways=[way] if way else ())
    fleet = local.start_fleet(path, devices=3 * (len(SAID) + 1), duration_seconds=SECONDS, way=way)
    assert fleet.wait(30) == 0
    by_qos = msgspec.json.decode(fleet.report_path.read_bytes())["by_qos"]
    for level in by_qos.values():
        ended = sum(level[end] for end in ("acknowledged", "refused", "dropped", "unfinished"))
        ended += level["published"] if level is by_qos["0"] else 0
        assert ended == level["offered"] + level["copies"]
    return settled_audit(local, ingest)


def test_each_fault_is_in_the_audits_expectation_and_nothing_else_is_wrong(
    report: AuditReport,
) -> None:
    assert report.promise_kept, report.findings[:5]
    faults = report.faults
    assert faults.keys() == PLANS.keys()
    assert all(one.strikes >= 3 for one in faults.values())
    for name in ("stuck", "spike", "drift", "late", "duplicate", "out-of-order", "slow-link",
                 "clock-skew"):  # fmt: skip
        counts = faults[name]
        assert counts.readings > 20, name
        # At QoS 0 a reading may be lost on its way; none is here.
        assert counts.stored == counts.readings, name
    assert faults["dropout"].withheld == faults["dropout"].readings > 20
    assert faults["low-battery"].withheld > 0 < faults["low-battery"].stored
    assert faults["malformed"].kept_out == faults["malformed"].readings > 10
    assert faults["clock-jump"].overwritten > 10
    assert faults["flapping"].strikes > 6


def test_the_fault_table_is_for_fleets_with_faults_alone(local: LocalStack, tmp_path: Path) -> None:
    path = tmp_path / "healthy.toml"
    path.write_text(fleet_of({}).replace("\\\n", "\n"))
    local.start_broker()
    ingest = local.start_ingest()
    fleet = local.start_fleet(path, devices=3, duration_seconds=1)
    assert fleet.wait(30) == 0
    assert settled_audit(local, ingest).faults == {}
