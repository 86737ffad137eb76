"""CPU is counted of a process and of all that it has started, in whatever session."""

import subprocess
import sys

from bench.compare.cpu import used_seconds

BURN = "import time\nwhile time.process_time() < 0.3: pass\n"
BURN_AND_STAY = BURN + "import sys\nprint(flush=True)\nsys.stdin.read()\n"
PARENT = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {BURN!r}], start_new_session=True)
subprocess.run([sys.executable, "-c", {BURN_AND_STAY!r}], start_new_session=True)
"""


def test_children_that_live_and_that_have_ended_are_counted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        found = used_seconds(process.pid)
        process.communicate()

    # Ticks of ten milliseconds are cut off.
    assert 0.55 <= found < 5
    assert used_seconds(process.pid) == 0
