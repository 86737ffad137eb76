"""One run of ingest, or of Telegraf in its place: fresh broker and InfluxDB, the same readings."""

import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
from msgspec import Struct

from bench.asking import Influxdb, operator_token
from bench.broker import Part, load_for, part, start_broker
from bench.confirmations import Confirmed, Watched
from bench.load import Load, Sent
from bench.telegraf import Telegraf
from stack import StackError
from stack.broker import Broker
from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.process import Process
from stack.waiting import holds_within
from telemetry.store.influxdb.questions import Question

FLUSH_MS = 100  # ingest's default; Telegraf is told the same
MOST_LATE_MS = 50
_STORED_WITHIN_SECONDS = 60
_LOOK_SECONDS = 0.05
_STORED = re.compile(r"^storage_writer_ok_points_sum\{.*\} (\S+)$", re.MULTILINE)
_COUNT = Question('SELECT count("seq") FROM "load"', {})
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


class Trial(Struct, frozen=True, kw_only=True):
    """What is carried in one run: readings, at a rate a second or as fast as it goes.

    CPU counts once so many of them are stored (`uncounted`): what each device costs once is over.
    """

    qos: int
    readings: int
    readings_per_second: float = 0.0
    devices: int = 1000
    pack: int = 1
    fields: int = 4
    uncounted: int = 0
    most_late_ms: float = MOST_LATE_MS

    def load(self, broker: Broker) -> Load:
        """Return what the generator is told."""
        return load_for(
            broker,
            qos=self.qos,
            readings=self.readings,
            devices=self.devices,
            pack=self.pack,
            fields=self.fields,
            readings_per_second=self.readings_per_second,
        )


class Outcome(Struct, frozen=True, kw_only=True):
    """What one run came to: nothing was lost, and no reading left late.

    The rate is from the first reading sent to the last one stored; memory is the most ever held.
    """

    readings_per_second: float
    cpu_us: float
    peak_bytes: int
    broker_cpu_us: float
    store_cpu_us: float


class Rival(Protocol):
    """Starts what carries readings from a broker to a store."""

    def __call__(self, local: LocalStack, broker: Broker, store_url: str, qos: int) -> Process:
        """Start it; it is ready."""


def ingest(local: LocalStack, broker: Broker, store_url: str, qos: int) -> Process:
    """Start ingest with its default settings."""
    del qos  # it takes what comes at the level at which that was published
    return local.start_ingest(broker=broker, settings={"INGEST_STORE_URL": store_url})


def telegraf(local: LocalStack, broker: Broker, store_url: str, qos: int) -> Process:
    """Start Telegraf."""
    return local.start(Telegraf(local, broker, store_url, qos=qos, flush_ms=FLUSH_MS))


def carry(trial: Trial, rival: Rival) -> Outcome:
    """Let a rival carry a load; StackError where the run does not count."""
    with LocalStack() as local:
        broker, server = start_broker(local), local.start_influxdb()
        process = rival(local, broker, server.url, trial.qos)
        parts: list[Process] = [process, broker, server]
        with part("bench.load", trial.load(broker)) as generator:
            generator.begin()
            uncounted = _stored_before(server, trial.uncounted)
            before = [one.usage().cpu_seconds for one in parts]
            sent, ended_s = _carried(generator, server, trial)
            used = [one.usage().cpu_seconds for one in parts]
        peak_bytes = peak_memory_bytes(process)
        check_stored(local, server, trial.readings)
    own, brokers, stores = (
        (after - earlier) / (trial.readings - uncounted) * 1e6
        for after, earlier in zip(used, before, strict=True)
    )
    return Outcome(
        readings_per_second=trial.readings / (ended_s - sent.began_s),
        cpu_us=own,
        peak_bytes=peak_bytes,
        broker_cpu_us=brokers,
        store_cpu_us=stores,
    )


def confirm(trial: Trial, rival: Rival) -> Confirmed:
    """Let a rival carry a load, and tell how late each reading was confirmed by the store."""
    with LocalStack() as local:
        broker, server = start_broker(local), local.start_influxdb()
        with watched(server) as (url, proxy):
            rival(local, broker, url, trial.qos)
            with part("bench.load", trial.load(broker)) as generator:
                generator.begin()
                _carried(generator, server, trial)
            proxy.begin()
            confirmed = proxy.answer(Confirmed)
        check_stored(local, server, trial.readings)
    return confirmed


@contextmanager
def watched(server: Influxd) -> Iterator[tuple[str, Part]]:
    """Stand before an InfluxDB: yield the address to write to, and who notes what was confirmed."""
    with part("bench.confirmations", Watched(server.host, server.port)) as proxy:
        yield f"http://127.0.0.1:{proxy.port}", proxy


def stored_points(server: Influxd) -> float:
    """Return how many points InfluxDB says that it has stored."""
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=10) as answer:  # noqa: S310
        found = _STORED.search(answer.read().decode())
    return float(found[1]) if found else 0.0


def check_stored(local: LocalStack, server: Influxd, readings: int) -> None:
    """StackError unless so many readings are in the store."""
    answer = Influxdb(server, operator_token(local)).ask(_COUNT)
    series = msgspec.msgpack.decode(answer)["results"][0].get("series")
    found = series[0]["values"][0][1] if series else 0
    if found != readings:
        raise StackError(f"void: {found:,} of {readings:,} readings are stored")


def peak_memory_bytes(process: Process) -> int:
    """Return the most memory that a process ever held."""
    found = _PEAK.search(Path(f"/proc/{process.pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _stored_before(server: Influxd, readings: int) -> float:
    """Wait until so many readings are stored; return how many are."""
    if not readings:
        return 0
    found = 0.0

    def is_enough() -> bool:
        nonlocal found
        found = stored_points(server)
        return found >= readings

    if not holds_within(is_enough, _STORED_WITHIN_SECONDS, _LOOK_SECONDS):
        raise StackError(f"void: {found:,.0f} stored within {_STORED_WITHIN_SECONDS} s")
    return found


def _carried(generator: Part, server: Influxd, trial: Trial) -> tuple[Sent, float]:
    """Wait for all to be sent; return what was, and when the store had it (the monotonic clock)."""
    sent = generator.answer(Sent)
    if sent.refused:
        raise StackError(f"void: the broker did not take {sent.refused:,} messages")
    if sent.late_ms_p99 > trial.most_late_ms:
        raise StackError(f"void: the generator was {sent.late_ms_p99:.0f} ms late")
    # Not asked meanwhile: an answer costs InfluxDB 5 ms.
    if not holds_within(
        lambda: stored_points(server) >= trial.readings, _STORED_WITHIN_SECONDS, _LOOK_SECONDS
    ):
        raise StackError(f"void: not all stored within {_STORED_WITHIN_SECONDS} s")
    return sent, time.monotonic()
