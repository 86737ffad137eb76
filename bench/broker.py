"""Where one Mosquitto ends: what it passes on to a subscriber that only acknowledges."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import TypeVar

import msgspec
from msgspec import Struct

from bench.bare_subscriber import Received, Subscription
from bench.load import Load, Sent
from bench.row import Row
from stack import StackError
from stack.broker import Broker
from stack.local import LocalStack

_DEVICES = 20
_MESSAGES = {0: 600_000, 1: 300_000, 2: 150_000}
_ROUNDS = 3
_WITHIN_SECONDS = 120
_USER = "ingest"

Answer = TypeVar("Answer", bound=Struct)


class Part:
    """A process that is told by a line, says `ready`, and ends with a line of JSON."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

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
        if process.stdout.readline().strip() != "ready":
            raise StackError(f"void: {module} did not become ready")
        yield Part(process)
    finally:
        process.kill()
        process.wait()


def ceiling() -> Iterator[Row]:
    """What one broker delivers at each level, publishers as fast as it takes; nothing lost."""
    for qos, messages in _MESSAGES.items():
        rates, costs = zip(*(_delivered(qos, messages) for _ in range(_ROUNDS)), strict=True)
        name = f"broker delivered messages/s at QoS {qos}, one subscriber"
        yield Row(name, round(median(rates)), None, None, "none lost", True, 6)
        name = f"broker CPU a message at QoS {qos}, us"
        yield Row(name, round(median(costs), 2), None, None, "-", True, 6)


def _delivered(qos: int, messages: int) -> tuple[float, float]:
    """Return messages a second and the broker's CPU a message, in microseconds."""
    with LocalStack() as local:
        broker = local.start_broker()
        with part("bench.bare_subscriber", _subscription(broker, messages)) as subscriber:
            with part("bench.load", _load(broker, qos, messages // _DEVICES)) as load:
                before = broker.usage().cpu_seconds
                load.begin()
                load.answer(Sent)
            received = subscriber.answer(Received)
        used = broker.usage().cpu_seconds - before
    if received.messages != messages:
        raise StackError(f"void: {received.messages:,} of {messages:,} arrived at QoS {qos}")
    return messages / received.seconds, used / messages * 1e6


def _subscription(broker: Broker, messages: int) -> Subscription:
    return Subscription(
        host=broker.host,
        port=broker.port,
        user=_USER,
        password=broker.password(_USER),
        messages=messages,
    )


def _load(broker: Broker, qos: int, readings_per_device: int) -> Load:
    names = [f"load-{number:03}" for number in range(_DEVICES)]
    broker.admit(names)
    return Load(
        host=broker.host,
        port=broker.port,
        qos=qos,
        passwords={name: broker.password(name) for name in names},
        readings_per_device=readings_per_device,
    )
