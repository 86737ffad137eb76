"""A stack with one way open, and sendings over it: what goes in, and what ingest makes of it."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from bench.compare.cpu import cores, idle_seconds, used_seconds
from bench.compare.sender import Sent, Task
from bench.compare.ways import Way
from bench.pipeline import figure
from stack import StackError
from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.process import ROOMS, Process
from stack.services import Service
from telemetry.latency import Latencies

_ANSWER_SECONDS = 150.0
_LOOK_SECONDS = 0.02
_QUIET_SECONDS = 2.0
_FULL = 0.85
"""A part that uses so much of a core, or all parts that use so much of all cores, is the limit."""


class Open(Struct, frozen=True):
    """A stack in which one way is open, as a sender has to know it, and what carries it."""

    local: LocalStack
    ingest: Service
    way: Way
    between: Mapping[str, Process]
    kind: str
    """Under which of the kinds of latency ingest counts what comes by it."""


class Went(Struct, frozen=True):
    """How a sending went: what was sent, how much of it was stored, in how many seconds."""

    sent: Sent
    stored: int
    seconds: float
    cpu_seconds: Mapping[str, float]
    idle_share: float
    """Of all cores of the machine, whatever else ran on them."""

    @property
    def cpu_us(self) -> Mapping[str, float]:
        """CPU a stored reading, by part."""
        return {name: one / max(self.stored, 1) * 1e6 for name, one in self.cpu_seconds.items()}

    @property
    def limited_by(self) -> str:
        """What was full, as far as CPU says."""
        # A sender's part of the time is until it is done, which may be sooner.
        shares = {
            name: used / (self.sent.seconds if name == "sender" else self.seconds)
            for name, used in self.cpu_seconds.items()
        }
        name, share = max(shares.items(), key=lambda one: one[1])
        busiest = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        if share >= _FULL:
            return f"{name}: {share:.0%} of a core"
        if self.idle_share < 1 - _FULL:
            others = (1 - self.idle_share) * cores() - sum(shares.values())
            if others > _FULL:
                busiest += f", other programs {others:.0%}"
            return f"all cores: {busiest}"
        return f"waiting: {busiest}"


class Sending:
    """A sender process that is ready; `begin` is the word."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.compare.sender"],
            cwd=ROOMS,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Sending":
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(msgspec.json.encode(self.task).decode(), file=self._process.stdin, flush=True)
        if self._process.stdout.readline().strip() != "ready":
            self._process.kill()
            raise StackError("the sender did not become ready")
        return self

    def __exit__(self, *_exception: object) -> None:
        self._process.kill()
        self._process.wait()

    def begin(self) -> None:
        """Let it send."""
        assert self._process.stdin is not None
        print(file=self._process.stdin, flush=True)

    def end(self) -> Sent:
        """Wait until it has ended; return what became of what it sent."""
        try:
            said, _none = self._process.communicate(timeout=_ANSWER_SECONDS)
            return msgspec.json.decode(said, type=Sent)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise StackError("the sender did not end with a result") from error


def now_ms() -> int:
    """Return the time, as a boot is told."""
    return time.time_ns() // 1_000_000


def go(opened: Open, task: Task) -> Went:
    """Send, and wait until ingest has stored what came."""
    store = {one.name: one for one in opened.local.processes if isinstance(one, Influxd)}
    parts = {**opened.between, "ingest": opened.ingest, **store}
    with Sending(task) as sending:
        written = _written(opened.ingest)
        before = {name: used_seconds(one.pid) for name, one in parts.items()}
        began_s, idle_s = time.monotonic(), idle_seconds()
        sending.begin()
        sent = sending.end()
    stored, ended_s = _settled(opened.ingest, written, sent.readings)
    used = {name: used_seconds(one.pid) - before[name] for name, one in parts.items()}
    seconds = ended_s - began_s
    idle_share = (idle_seconds() - idle_s) / (time.monotonic() - began_s) / cores()
    return Went(sent, stored, seconds, {"sender": sent.cpu_seconds, **used}, idle_share)


def latencies(opened: Open) -> Latencies:
    """Return what ingest has counted so far."""
    found = Latencies()
    found.add_encoded(msgspec.json.decode(opened.ingest.get("/latency")[1]))
    return found


@contextmanager
def stack(store: str) -> Iterator[LocalStack]:
    """Yield a stack of this store, without any other part yet."""
    with LocalStack() as local:
        if store == "influxdb":
            local.start_influxdb()
        yield local


def _settled(ingest: Service, before: float, readings: int) -> tuple[int, float]:
    """Return how many readings were stored, and when the last of them was."""
    stored, changed_s = -1.0, time.monotonic()
    while stored < readings and time.monotonic() - changed_s < _QUIET_SECONDS:
        found = _written(ingest) - before
        if found > stored:
            stored, changed_s = found, time.monotonic()
        time.sleep(_LOOK_SECONDS)
    return int(stored), changed_s


def _written(ingest: Service) -> float:
    return figure(ingest, "ingest", "written_readings", timeout_seconds=10.0)
