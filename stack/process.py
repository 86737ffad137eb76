"""One running part: started, watched, measured and stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from stack import StackError, leash
from stack.waiting import holds_within

GRACE_SECONDS = 15.0
READY_SECONDS = 30.0
_LOG_LINES_SHOWN = 15
_LOG_BYTES_READ = 1 << 16
_KILLED_WITHIN_SECONDS = 5.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

# The kernel ends a part when the thread that started it ends: this one lasts as long as we do.
_spawner = ThreadPoolExecutor(1, thread_name_prefix="spawner")

# The folder that holds the rooms, so that `python -m ingest` finds them, installed or not.
ROOMS = Path(__file__).resolve().parents[1]

Ready = Callable[[], str | None]
"""Says None when a part is ready, else what it still lacks, in one line for a person."""


class ProcessFailed(StackError):
    """Raised when a part ended or did not become ready; `log` is the end of what it wrote."""

    def __init__(self, name: str, what: str, log: str) -> None:
        shown = f"; its last lines:\n{log}" if log else " and wrote nothing"
        super().__init__(f"{name} {what}{shown}")
        self.name = name
        self.log = log


class Usage(Struct, frozen=True):
    """What a part has used: CPU seconds of its living processes, and the memory they hold now."""

    cpu_seconds: float
    resident_bytes: int


class Process:
    """A command with its environment and log file, in a session of its own.

    Ctrl-C in a terminal therefore reaches only us, who stop the parts in their order. `user`, where
    given, is whom it runs as. `start` can be called again once the process has ended; the log goes
    on in the same file.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        log_path: Path,
        user: str | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.environment = dict(environment)
        self.log_path = log_path
        self.user = user
        self._popen: subprocess.Popen[bytes] | None = None

    ends_by_itself = False

    def lacks(self) -> str | None:
        """Return None when the part is ready, else what it still lacks; parts know better."""
        return None

    def start(self, *, ready_seconds: float = READY_SECONDS) -> None:
        """Start the process and wait until it is ready.

        ProcessFailed, with the end of its log, where it ends first or takes longer.
        """
        if self.is_running:
            raise StackError(f"{self.name} is already running as process {self.pid}")
        self._popen = _spawner.submit(self._spawn).result()
        self._await_ready(ready_seconds)

    def restart(self, *, ready_seconds: float = READY_SECONDS) -> None:
        """Stop the process, if it runs, and start it with the same settings."""
        self.stop()
        self.start(ready_seconds=ready_seconds)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End the process and all its children: SIGTERM, and SIGKILL after the grace."""
        if self._popen is not None:
            self.terminate()
            # One that a test has halted could not act on it.
            self._signal(signal.SIGCONT)
            with suppress(subprocess.TimeoutExpired):
                self.wait(grace_seconds)
            self.kill()

    def terminate(self) -> None:
        """Ask the process to finish and end (SIGTERM)."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all its children at once (SIGKILL), and wait until they are gone."""
        if self._popen is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._popen.wait()
            holds_within(lambda: not _group(self.pid), _KILLED_WITHIN_SECONDS)

    def wait(self, timeout_seconds: float | None = None) -> int:
        """Wait for the end and return the exit code; subprocess.TimeoutExpired past the time-out.

        Minus the signal's number is the code of a process that a signal ended.
        """
        return self._started().wait(timeout_seconds)

    @property
    def pid(self) -> int:
        """The number of the process, also after its end."""
        return self._started().pid

    @property
    def is_running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code, or None while the process runs."""
        return self._started().poll()

    def log_tail(self, lines: int = _LOG_LINES_SHOWN) -> str:
        """Return the end of what the process wrote to standard output and error."""
        try:
            with self.log_path.open("rb") as log:
                log.seek(max(0, self.log_path.stat().st_size - _LOG_BYTES_READ))
                text = log.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def failure(self, what: str) -> ProcessFailed:
        """Return the error that says what happened and shows the end of the log."""
        return ProcessFailed(self.name, what, self.log_tail())

    def usage(self) -> Usage:
        """Return what the process and its children have used so far, from /proc."""
        found = _group(self.pid)
        ticks = sum(int(fields[11]) + int(fields[12]) for fields in found)
        pages = sum(int(fields[21]) for fields in found)
        return Usage(ticks / _TICKS_PER_SECOND, pages * _PAGE_BYTES)

    def _signal(self, number: signal.Signals) -> None:
        if self.is_running:
            os.kill(self.pid, number)

    def _started(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise StackError(f"{self.name} was never started")
        return self._popen

    def _spawn(self) -> subprocess.Popen[bytes]:
        leashed = [sys.executable, "-I", "-S", leash.__file__, str(os.getpid()), self.user or "-"]
        with self.log_path.open("ab") as log:
            return subprocess.Popen(  # noqa: S603
                [*leashed, *self.command],
                env=self.environment,
                cwd=ROOMS,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _await_ready(self, ready_seconds: float) -> None:
        began = time.monotonic()
        word: str | None = None

        def settled() -> bool:
            nonlocal word
            ended, word = not self.is_running, self.lacks()
            return ended or word is None

        if not holds_within(settled, ready_seconds):
            waited = time.monotonic() - began
            raise self.failure(f"is not ready after {waited:.0f} s ({word})")
        if self.returncode is not None and (self.returncode or not self.ends_by_itself):
            raise self.failure(f"ended with exit code {self.returncode}")


def _group(leader: int) -> list[list[str]]:
    """Return the fields of /proc/PID/stat behind the name, of each living process of a group."""
    texts = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            texts.append(path.read_text())
    fields = [text.rpartition(")")[2].split() for text in texts]
    # proc(5): state, parent, group; utime and stime are at 11 and 12, resident pages at 21.
    return [found for found in fields if int(found[2]) == leader and found[0] not in "ZX"]
