"""Where one Mosquitto ends: what it passes on to a subscriber that only acknowledges."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

import msgspec
from msgspec import Struct

from bench.bare_subscriber import Received, Subscription
from bench.load import RULES, Load, Sent
from bench.load import USER as GENERATOR
from bench.row import Row
from broker.configuration import BrokerLimits
from stack import StackError
from stack.broker import Broker
from stack.local import LocalStack

WINDOW = 20_000
_NEVER_SECONDS = 3_600
_LEAD_SECONDS, _ENCODE_SECONDS = 1.5, 12e-6  # until all is encoded, on cores with other work
_MESSAGES = {0: 300_000, 1: 200_000, 2: 100_000}
_ROUNDS = 2
_WITHIN_SECONDS = 120
_USER = "ingest"

Answer = TypeVar("Answer", bound=Struct)


class Part:
    """A process that is told by a line, says `ready`, and ends with a line of JSON.

    `port` is where it listens, if it does: it stands behind the word.
    """

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def begin(self) -> None:
        """Say the word."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def answer(self, kind: type[Answer]) -> Answer:
        """Wait for the end; StackError where it has none in time."""
        try:
            said, _none = self._process.communicate(timeout=_WITHIN_SECONDS)
            return msgspec.json.decode(said, type=kind)
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise StackError(f"void: {self._process.args!r} did not end with a result") from error


@contextmanager
def part(module: str, told: Struct) -> Iterator[Part]:
    """Start a part, and stop it at the end; StackError where it does not become ready."""
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        print(msgspec.json.encode(told).decode(), file=process.stdin, flush=True)
        said = process.stdout.readline().split()
        if said[:1] != ["ready"]:
            raise StackError(f"void: {module} did not become ready")
        yield Part(process, int(said[1]) if len(said) > 1 else 0)
    finally:
        process.kill()
        process.wait()


def ceiling() -> Iterator[Row]:
    """What one broker delivers at each level, publishers as fast as it takes; nothing lost."""
    for qos, messages in _MESSAGES.items():
        found = [delivered(qos, messages) for _ in range(_ROUNDS)]
        name = f"broker delivered messages/s at QoS {qos}, one subscriber"
        rate = median(one.messages_per_second for one in found)
        yield Row(name, round(rate), None, None, "none lost", True, 6)
        name = f"broker CPU a message at QoS {qos}, us"
        cost = median(one.broker_cpu_us for one in found)
        yield Row(name, round(cost, 2), None, None, "-", True, 6)


class Delivered(Struct, frozen=True):
    """What a broker delivered a second, from the first sent to the last received, and its CPU."""

    messages_per_second: float
    broker_cpu_us: float


def delivered(qos: int, messages: int, devices: int = 1000) -> Delivered:
    """Send so many messages through a fresh broker to a subscriber that only acknowledges."""
    with LocalStack() as local:
        broker = start_broker(local)
        with part("bench.bare_subscriber", _subscription(broker, messages)) as subscriber:
            load = load_for(broker, qos=qos, readings=messages, devices=devices)
            with part("bench.load", load) as generator:
                before = broker.usage().cpu_seconds
                generator.begin()
                sent = generator.answer(Sent)
            received = subscriber.answer(Received)
        used = broker.usage().cpu_seconds - before
    if received.messages != messages:
        raise StackError(f"void: {received.messages:,} of {messages:,} arrived at QoS {qos}")
    return Delivered(messages / (received.last_s - sent.began_s), used / messages * 1e6)


def start_broker(local: LocalStack) -> Broker:
    """Start a broker that lets the generator in.

    It does not save while a run lasts: what waits in it would cost the slower subscriber more. The
    window is as large for one that asks for none as for ingest, which asks for so much.
    """
    limits = BrokerLimits(autosave_seconds=_NEVER_SECONDS, max_inflight_messages=WINDOW)
    broker = local.start_broker(limits=limits, more_rules=RULES)
    broker.admit([GENERATOR])
    return broker


def load_for(
    broker: Broker,
    *,
    qos: int,
    readings: int,
    devices: int = 1000,
    pack: int = 1,
    fields: int = 4,
    readings_per_second: float = 0.0,
) -> Load:
    """Return a load for a broker, to begin in a moment."""
    return Load(
        host=broker.host,
        port=broker.port,
        password=broker.password(GENERATOR),
        qos=qos,
        readings=readings,
        devices=devices,
        pack=pack,
        fields=fields,
        readings_per_second=readings_per_second,
        begin_at_ms=round((time.time() + _LEAD_SECONDS + readings * _ENCODE_SECONDS) * 1_000),
    )


def _subscription(broker: Broker, messages: int) -> Subscription:
    return Subscription(
        host=broker.host,
        port=broker.port,
        user=_USER,
        password=broker.password(_USER),
        messages=messages,
    )
