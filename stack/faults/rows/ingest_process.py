"""Rows 1, 2 and 23: ingest killed, terminated, and with a handler that raises."""

import signal

from stack.faults.case import Trial, case
from stack.faults.restarts import start_again, terminate_with_a_buffer
from stack.faults.rig import Rig

_RAISING_MODULE = "tests.e2e.raising_handler"


@case(1, "ingest SIGKILL")
def ingest_killed(trial: Trial) -> None:
    """Kill ingest while it holds what the store has not confirmed, and start it again."""
    with Rig(trial) as rig:
        ingest = rig.start_ingest()
        rig.start_fleet()
        with rig.store_held():
            rig.await_unacknowledged(batches=3)
            ingest.kill()
        trial.fault(ingest.returncode == -signal.SIGKILL, "ingest ended by SIGKILL")
        start_again(rig, ingest)
        rig.finish()


@case(2, "ingest SIGTERM")
def ingest_terminated(trial: Trial) -> None:
    """Terminate ingest with a half-full batch: it is stored, and the session kept."""
    # A slow flush, so that what is held when the signal comes is a buffer and not one batch.
    with Rig(trial) as rig:
        ingest = rig.start_ingest({"INGEST_FLUSH_INTERVAL_MS": "1500"})
        rig.start_fleet()
        terminate_with_a_buffer(rig, ingest)
        start_again(rig, ingest)
        rig.finish()


@case(23, "a handler that raises for 1 % of messages")
def handler_raises(trial: Trial) -> None:
    """Let decoding fail unexpectedly now and then: those go to quarantine, the others on."""
    with Rig(trial) as rig:
        rig.start_ingest(module=_RAISING_MODULE)
        rig.start_fleet()
        rig.await_unacknowledged()
        rig.pass_time(10, "one message in a hundred raises")
        rig.finish(quarantine_keeps=True)
        seen = rig.figures()
        received, quarantined = seen["received_readings"], seen["quarantined_readings"]
        share = quarantined / received
        trial.fault(quarantined > 0, f"{quarantined:,.0f} messages raised in the handler")
        trial.must(0.005 < share < 0.015, f"{share:.2%} of {received:,.0f} readings quarantined")
        owed = sum(seen[f"received_readings:{qos}"] for qos in (1, 2))
        acknowledged = seen["acknowledged_messages"]
        trial.must(acknowledged == owed, f"{acknowledged:,.0f} of {owed:,.0f} acknowledged")
