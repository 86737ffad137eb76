import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import StackError
from stack.process import Process, ProcessFailed
from tests.eventually import eventually

_STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


class Shell(Process):
    """A shell script that is ready once it has said so."""

    def lacks(self) -> str | None:
        return None if "ready" in self.log_tail() else "a word"


@pytest.fixture
def shells(tmp_path: Path) -> Iterator["Shells"]:
    made = Shells(tmp_path)
    yield made
    for shell in made.all:
        shell.kill()


class Shells:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.all: list[Shell] = []

    def make(self, script: str, **environment: str) -> Shell:
        shell = Shell(
            "shell",
            ["sh", "-c", script],
            environment={"PATH": os.defpath, **environment},
            log_path=self.folder / f"{len(self.all)}.log",
        )
        self.all.append(shell)
        return shell

    def start(self, script: str) -> Shell:
        shell = self.make(script)
        shell.start()
        return shell


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_starting_waits_until_the_process_is_ready(shells: Shells) -> None:
    shell = shells.start("sleep 0.2; echo ready; sleep 60")

    assert shell.is_running
    assert "ready" in shell.log_tail()


def test_one_that_ends_first_is_an_error_with_its_last_lines(shells: Shells) -> None:
    shell = shells.make("echo first; echo what is wrong >&2; exit 3")

    with pytest.raises(ProcessFailed, match=r"exit code 3(.|\n)*first\nwhat is wrong"):
        shell.start()


def test_one_that_is_not_ready_in_time_is_an_error_that_says_what_it_lacks(
    shells: Shells, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shells.make("echo still at it; sleep 60")

    def lacks() -> str:
        eventually(lambda: "still at it" in shell.log_tail())
        return "a word"

    monkeypatch.setattr(shell, "lacks", lacks)

    with pytest.raises(ProcessFailed, match=r"not ready after \d+ s \(a word\)(.|\n)*still at it"):
        shell.start(ready_seconds=0.1)


def test_a_missing_program_is_named(shells: Shells) -> None:
    shell = shells.make("")
    shell.command = ["no-such-program"]

    with pytest.raises(ProcessFailed, match="no-such-program: No such file"):
        shell.start()


def test_it_cannot_be_started_twice(shells: Shells) -> None:
    shell = shells.start("echo ready; sleep 60")

    with pytest.raises(StackError, match="already running"):
        shell.start()


def test_stopping_lets_it_finish(shells: Shells) -> None:
    shell = shells.start(
        "trap 'echo finished; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    )

    shell.stop()

    assert shell.returncode == 0
    assert "finished" in shell.log_tail()


def test_one_that_will_not_finish_is_killed_after_the_grace(shells: Shells) -> None:
    shell = shells.start(_STUBBORN)

    shell.stop(grace_seconds=0.3)

    assert shell.returncode == -signal.SIGKILL


def test_a_halted_one_is_stopped_within_the_grace(shells: Shells) -> None:
    shell = shells.start("trap 'exit 0' TERM; echo ready; while :; do sleep 0.05; done")
    os.kill(shell.pid, signal.SIGSTOP)

    shell.stop()

    assert shell.returncode == 0


def test_killing_takes_its_children_along(shells: Shells) -> None:
    shell = shells.start("sleep 60 & echo ready $!; wait")
    child = int(shell.log_tail().split()[1])

    shell.kill()

    assert not _is_alive(child)


def test_children_of_one_that_ended_by_itself_are_ended_by_stopping(shells: Shells) -> None:
    shell = shells.make("sleep 60 & echo ready $!; exit 0")
    shell.ends_by_itself = True
    shell.start()
    child = int(shell.log_tail().split()[1])
    assert shell.wait(5) == 0

    shell.stop()

    assert not _is_alive(child)


def test_stopping_twice_and_stopping_what_never_started_are_no_errors(shells: Shells) -> None:
    shell = shells.start("echo ready; sleep 60")
    shell.stop()
    shell.stop()

    shells.make("").stop()


def test_a_restart_has_the_same_settings_and_goes_on_in_the_same_log(shells: Shells) -> None:
    shell = shells.make("echo ready $WORD; sleep 60", WORD="same")
    shell.start()
    before = shell.pid

    shell.restart()

    assert shell.pid != before
    eventually(lambda: shell.log_tail().splitlines() == ["ready same", "ready same"])


def test_waiting_has_an_end(shells: Shells) -> None:
    shell = shells.start("echo ready; sleep 60")

    with pytest.raises(subprocess.TimeoutExpired):
        shell.wait(0.1)


def test_it_outlives_the_thread_that_started_it(shells: Shells) -> None:
    shell = shells.make("echo ready; trap 'echo more' USR1; while :; do sleep 0.05; done")
    thread = threading.Thread(target=shell.start)
    thread.start()
    thread.join()

    assert shell.is_running
    os.kill(shell.pid, signal.SIGUSR1)
    eventually(lambda: "more" in shell.log_tail())


def test_usage_counts_the_children_as_well(shells: Shells) -> None:
    spin = f"{sys.executable} -c 'while True: pass'"
    shell = shells.start(f"{spin} & echo ready; wait")

    eventually(lambda: shell.usage().cpu_seconds >= 0.1)
    assert shell.usage().resident_bytes > 2_000_000


def test_it_may_open_as_many_files_as_the_machine_allows(shells: Shells) -> None:
    shell = shells.start("ulimit -Sn; ulimit -Hn; echo ready; sleep 60")
    soft, hard, _ = shell.log_tail().split()

    assert soft == hard


def test_it_ends_when_nobody_reads_its_output_any_more(shells: Shells) -> None:
    # Python ignores SIGPIPE, and what starts it here is Python.
    shell = shells.start("yes | head -n 1; echo ready; sleep 60")

    assert shell.log_tail().splitlines() == ["y", "ready"]


def test_only_the_end_of_a_long_log_is_shown(shells: Shells) -> None:
    shell = shells.start("yes line | head -n 100000; echo ready; sleep 60")

    assert shell.log_tail(2).splitlines() == ["line", "ready"]
