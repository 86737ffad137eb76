import subprocess
import sys

from stack.process import ROOMS

# In a process of its own: what it proves is that this does not end one.
FIRST_USES_AT_ONCE = """
import sys
from threading import Barrier, Thread
import msgspec
from msgspec import defstruct
from telemetry.worked_out import worked_out

sys.setswitchinterval(1e-6)
body = b'{"one": {"inner": {"a": 1}}, "all": {"x": {"inner": {"a": 2}}}}'
for _ in range(100):
    inner = defstruct("Inner", [("a", int), ("b", dict[str, float], {})])
    middle = defstruct("Middle", [("inner", inner), ("more", list[inner], [])])
    kind = worked_out(defstruct("Kind", [("one", middle), ("all", dict[str, middle])]))
    together = Barrier(8)
    def use():
        together.wait()
        msgspec.json.decode(body, type=kind)
    threads = [Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("survived")
"""


def test_threads_that_use_a_type_for_the_first_time_at_once_do_not_end_the_process() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_USES_AT_ONCE],
        cwd=ROOMS,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, "survived\n"), ended.stderr
