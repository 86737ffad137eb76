"""Row 28: several ingests share the load, and become one again."""

import subprocess
import time

from stack.faults.case import Trial, case
from stack.faults.rig import Rig
from stack.faults.watch import Moment
from stack.process import ROOMS
from stack.services import Service

_GROUP = {"INGEST_SHARE_GROUP": "ingest"}
_LEAVES_WITHIN_SECONDS = 60.0
_NAMED_WITHIN_SECONDS = 75.0
_PARKED_SECONDS = 3.0


@case(28, "ingest scaled 3 to 1 at R, in order and by stopping tasks")
def scaled_in(trial: Trial) -> None:
    """Take leave of one ingest in order, stop another as a plain scale does; one goes on."""
    with Rig(trial) as rig:
        first, stopped, leaving = (
            rig.start_ingest(_GROUP, client_id=f"ingest-{number}") for number in (1, 2, 3)
        )
        rig.start_fleet()
        for ingest in (first, stopped, leaving):
            rig.await_unacknowledged(ingest, share=1 / 3)
        # In order: the task is stopped, and whoever stops it takes leave for it at once.
        trial.say("ingest-3 leaves in order")
        _stop(trial, leaving)
        _leave(trial, leaving)
        # By stopping tasks only: the broker goes on dealing to it, and parks its share.
        trial.say("ingest-2 is stopped")
        _stop(trial, stopped)
        since = time.monotonic()
        rig.pass_time(_PARKED_SECONDS, "ingest-2's share is parked")
        written = rig.watch.rates("written_readings", since, time.monotonic(), window_seconds=2)
        trial.fault(
            written and written[-1] < 0.75 * rig.rate,
            f"the one that is left wrote {written[-1] if written else 0:,.0f} readings/s:"
            " the others are parked",
        )
        _must_be_named(rig, since, stopped.name)
        received = _leave(trial, stopped)
        trial.must(received, f"what was parked came out of the session: {received}")
        left = time.monotonic()
        rig.must_be_back(left, 10, of="the last leave")
        rig.finish()


def _stop(trial: Trial, ingest: Service) -> None:
    ingest.terminate()
    code = ingest.wait(20)
    trial.fault(code == 0, f"{ingest.name} ended with exit code {code}")


def _leave(trial: Trial, ingest: Service) -> str:
    """Take leave for an ingest, with its own settings; return what that said at last."""
    began = time.monotonic()
    left = subprocess.run(  # noqa: S603
        [*ingest.command, "leave", "--client-id", ingest.name],
        cwd=ROOMS,
        env=ingest.environment,
        capture_output=True,
        text=True,
        timeout=_LEAVES_WITHIN_SECONDS,
        check=False,
    )
    took = time.monotonic() - began
    (trial.folder / f"leave-{ingest.name}.log").write_text(left.stdout + left.stderr)
    trial.must(left.returncode == 0, f"{ingest.name} left for good in {took:.1f} s")
    lines = left.stdout.strip().splitlines()
    return lines[-1] if lines else ""


def _must_be_named(rig: Rig, since: float, client_id: str) -> None:
    """Note whether the ingest that is left says whose share is parked."""

    def counted(moment: Moment) -> bool:
        return moment.figures is not None and moment.figures["orphan_members"] == 1

    rig.trial.say(f"{client_id} has to be named as away")
    took = rig.watch.await_seen(counted, after=since, deadline_seconds=_NAMED_WITHIN_SECONDS)
    named = any(client_id in line for line in rig.log_lines("error"))
    word = "never" if took is None else f"after {took:.0f} s"
    rig.trial.must(took is not None, f"orphan_members said so {word}")
    rig.trial.must(named, f"an ERROR line names {client_id}" if named else "no ERROR line names it")
