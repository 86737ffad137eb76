"""Ingest ends, in an orderly way or not, and comes back: what rows of every way have in common."""

import time

from stack.faults.rig import Rig
from stack.services import Service

_STOPPED_WITHIN_SECONDS = 10.0
_BACK_WITHIN_SECONDS = 10.0


def terminate_with_a_buffer(rig: Rig, ingest: Service) -> None:
    """Terminate ingest while it holds readings: it ends well, in time, and stores them first.

    Its flush interval has to be long, so that what is held is a buffer and not one batch.
    """
    trial = rig.trial
    rig.await_unacknowledged()
    received = rig.figures()["received_readings"]
    asked = time.monotonic()
    ingest.terminate()
    code = ingest.wait(_STOPPED_WITHIN_SECONDS + 20)
    took = time.monotonic() - asked
    trial.fault(code == 0, f"ingest ended by itself with exit code {code}")
    trial.must(
        took <= _STOPPED_WITHIN_SECONDS,
        f"it took {took:.1f} s ({_STOPPED_WITHIN_SECONDS:g} s allowed)",
    )
    stored = rig.stored_count()
    trial.must(
        stored >= received,
        f"{stored:,} readings were stored at its end, {received:,.0f} received before",
    )


def start_again(rig: Rig, ingest: Service) -> None:
    """Start it again, see it back at the fleet's rate, and let the fleet go on."""
    began = time.monotonic()
    ingest.start()
    rig.must_be_back(began, _BACK_WITHIN_SECONDS)
    rig.pass_time(2 if rig.trial.quick else 5, "the fleet goes on")
