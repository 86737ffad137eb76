"""A real SQLite store that fails on command, in each of the ways in which a store can."""

import threading
import time
from collections.abc import Callable, Sequence

from telemetry.lineprotocol import parse_readings
from telemetry.reading import Reading
from telemetry.store import Refused
from telemetry.store.sqlite import SQLiteStore


class FailingStore(SQLiteStore):
    """Raises `failure` before it writes, or `late_failure` after it did; refuses as `refuses` says.

    It hangs while `hangs` is set. `called_s` and `ended_s` say when its calls were (monotonic), and
    `at_once` how many ran at the same time at the most.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.failure: Exception | None = None
        self.late_failure: Exception | None = None
        self.refuses: Callable[[Reading], bool] = lambda _reading: False
        self.answers = threading.Event()
        self.answers.set()
        self.called_s: list[float] = []
        self.ended_s: list[float] = []
        self.checks = 0
        self.at_once = self._running = 0

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        self.called_s.append(time.monotonic())
        self._enter()
        try:
            if self.failure is not None:
                raise self.failure
            refused = [n for n, reading in enumerate(readings) if self.refuses(reading)]
            kept = [reading for n, reading in enumerate(readings) if n not in refused]
            super().write(kept)
            if self.late_failure is not None:
                raise self.late_failure
            return [Refused(n, "refused on command") for n in refused]
        finally:
            self._leave()

    def write_lines(self, lines: Sequence[bytes], *, divisible: bool = False) -> list[Refused]:  # noqa: ARG002
        return self.write(parse_readings(b"\n".join([*lines, b""]).decode()))

    def check(self) -> None:
        self.checks += 1
        self._enter()
        try:
            if self.failure is not None:
                raise self.failure
            super().check()
        finally:
            self._leave()

    def _enter(self) -> None:
        self._running += 1
        self.at_once = max(self.at_once, self._running)
        self.answers.wait(30)

    def _leave(self) -> None:
        self._running -= 1
        self.ended_s.append(time.monotonic())
