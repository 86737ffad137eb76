"""All that a fleet file may ask of its devices, through the whole pipeline and before the audit."""

from pathlib import Path

import msgspec

from stack.local import LocalStack
from tests.e2e.test_delivery import settled_audit
from tests.fleets import PATIENT

FLEET = f"""
[run]
{PATIENT}
[fleet]
name = "various"
seed = 1

[[groups]]
name = "plain"
count = 3
site = "home"
profile = "weather-station"
qos = [0, 1, 2]
period_ms = 100
jitter_ms = 50

[[groups]]
name = "flat"
count = 2
first = 70
site = "home"
profile = "smart-meter"
format = "flat"
period_ms = 100
expiry_seconds = 600
keepalive_seconds = 5

[[groups]]
name = "line"
count = 2
site = "home"
profile = "machine"
format = "line"
qos = 2
period_ms = 100

[[groups]]
name = "pack"
count = 2
site = "home"
profile = "weather-station"
pack = 7
qos = [0, 1]
period_ms = 100

[[groups]]
devices = ["north", "south"]
site = "home"
profile = "machine"
format = "template"
template = '{{"ts": $ts, "values": {{"shaking": ${{vibration}}}}, "boot": $boot, "seq": $seq}}'
period_ms = 100
retain = true

[[groups]]
name = "bare"
count = 1
site = "home"
profile = "machine"
format = "template"
template = '{{"shaking": ${{vibration}}}}'
period_ms = 100
"""


def test_readings_of_every_format_are_stored_and_the_audit_knows_them_all(
    local: LocalStack, tmp_path: Path
) -> None:
    path = tmp_path / "various.toml"
    path.write_text(FLEET)
    local.start_broker()
    ingest = local.start_ingest()
    fleet = local.start_fleet(path, devices=12, duration_seconds=3)
    assert fleet.wait(20) == 0
    audit = settled_audit(local, ingest)
    assert audit.promise_kept, audit.findings[:5]
    store = local.open_store()
    try:
        stored = {one.device for one in store.sequences()}
    finally:
        store.close()
    assert stored == {
        "plain-00000", "plain-00001", "plain-00002", "flat-00070", "flat-00071", "line-00000",
        "line-00001", "pack-00000", "pack-00001", "north", "south",
    }  # fmt: skip
    report = msgspec.json.decode(fleet.report_path.read_bytes())
    for level in ("1", "2"):
        said = report["by_qos"][level]
        assert said["offered"] == said["acknowledged"] > 50
    # The bare ones, which nobody can tell apart, are published and not in the ledger.
    offered = sum(level.offered for level in audit.by_qos.values())
    assert offered < sum(level["offered"] for level in report["by_qos"].values()) - 20
