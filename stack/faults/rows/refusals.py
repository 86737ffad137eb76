"""Rows 25 and 26: a broker that refuses what devices publish, and devices that pose as others."""

import os
import signal

from stack.faults.case import Trial, case
from stack.faults.odd_device import await_quarantined, beside_a_fleet
from stack.faults.raw_device import SITE, native, now_ms
from stack.faults.rig import Rig
from stack.faults.watch import figures_of
from telemetry.private_files import write_private

_NOT_AUTHORIZED = 0x87
_WRITING = "pattern write telemetry/+/%u/#\n"
_REFUSED_SECONDS = 4


@case(25, "QoS 1 and 2 publish to a forbidden topic")
def publish_forbidden(trial: Trial) -> None:
    """Take the right to publish from all devices for some seconds."""
    with Rig(trial) as rig:
        rig.start_ingest()
        fleet = rig.start_fleet()
        rig.await_unacknowledged()
        rules = rig.broker.configuration.acl_file
        text = rules.read_text()
        trial.fault(_WRITING in text, "devices had the right to publish, and lost it")
        _set_rules(rig, text.replace(_WRITING, ""))
        # What was sent before may still be answered: the count begins a second later.
        rig.pass_time(1, "nothing may be published")
        before = figures_of(fleet, "sensors")
        rig.pass_time(_REFUSED_SECONDS, "nothing may be published")
        after = figures_of(fleet, "sensors")
        _set_rules(rig, text)
        for qos in (1, 2):
            refused = after[f"refused_readings:{qos}"] - before[f"refused_readings:{qos}"]
            taken = after[f"acknowledged_readings:{qos}"] - before[f"acknowledged_readings:{qos}"]
            trial.must(
                refused > 0 and not taken,
                f"QoS {qos}: devices report {refused:,.0f} refusals and {taken:.0f} deliveries",
            )
        rig.pass_time(2, "all is allowed again")
        rig.finish(refused=True)


@case(26, "device A publishes as device B; A's topic with B in the payload")
def false_names(trial: Trial) -> None:
    """Publish under another device's name, in the topic and in the payload."""
    with Rig(trial) as rig, beside_a_fleet(rig) as odd:
        payload = native(now_ms(), {"value": 1.0}, 1, 1)
        for qos in (1, 2):
            reason = odd.client.publish(f"telemetry/{SITE}/node-00000/m", payload, qos)
            trial.fault(reason == _NOT_AUTHORIZED, f"QoS {qos}: the broker says {reason:#x}")
        named = b'{"ts": %d, "device": "node-00000", "values": {"value": 1}}' % now_ms()
        odd.send_refused("m", named)
        await_quarantined(rig, 1, "is not the address's")
        points = odd.stored(rig, "m")
        trial.must(not points, f"no point of either is stored: {points or ''}")
        rig.finish()


def _set_rules(rig: Rig, text: str) -> None:
    write_private(rig.broker.configuration.acl_file, text, owner=rig.broker.user)
    os.kill(rig.broker.pid, signal.SIGHUP)
