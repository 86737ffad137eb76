"""What is seen of ingest while a case runs: its figures, its readiness and its memory, in time."""

import threading
import time
from collections.abc import Callable
from typing import Self

import msgspec
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families

from stack.services import Service

_EVERY_SECONDS = 0.25
_ANSWER_SECONDS = 2.0

Figures = dict[str, float]
"""Figures by name, as `written_readings`, and by label, as `written_readings:1`."""


def figures_of(service: Service, room: str = "ingest") -> Figures:
    """Return a service's figures now; OSError where it does not answer."""
    found: Figures = {}
    text = service.get("/metrics", _ANSWER_SECONDS)[1]
    for family in text_string_to_metric_families(text):
        name = family.name.removeprefix(f"denyut_{room}_")
        for sample in family.samples:
            found[name] = found.get(name, 0.0) + sample.value
            for label in sample.labels.values():
                found[f"{name}:{label}"] = sample.value
    return found


def imbalance(figures: Figures) -> float:
    """Return what the law of conservation misses or has too much, in readings; 0 is right."""
    came = figures["received_readings"] + figures["taken_over_readings"]
    kept = ("written", "quarantined", "spooled", "in_flight", "dropped")
    return came - sum(figures[f"{what}_readings"] for what in kept)


class Moment(Struct, frozen=True):
    """What one look at ingest showed; `figures` is None where it did not answer.

    `at` is on the monotonic clock; `words` is what /readyz says of each dependency.
    """

    at: float
    figures: Figures | None
    ready: bool
    words: dict[str, str]
    resident_bytes: int


Seen = Callable[[Moment], object]


class Watch:
    """Looks at an ingest four times a second, in a thread of its own, over its restarts."""

    def __init__(self, ingest: Service) -> None:
        self.ingest = ingest
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="watch", daemon=True)
        self.moments: list[Moment] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        self._thread.join()

    @property
    def most_bytes(self) -> int:
        """The most memory that ingest was seen to hold."""
        return max((moment.resident_bytes for moment in self.moments), default=0)

    @property
    def imbalances(self) -> list[float]:
        """Each look at which the law of conservation did not hold, by how much."""
        seen = (imbalance(one.figures) for one in self.moments if one.figures is not None)
        return [missing for missing in seen if missing]

    def first(self, seen: Seen, *, after: float) -> Moment | None:
        """Return the first moment at which something was seen, after a time."""
        return next((one for one in self.moments if one.at >= after and seen(one)), None)

    def seconds_until(self, seen: Seen, *, after: float) -> float | None:
        """Return how long after a time something was first seen; None: never."""
        moment = self.first(seen, after=after)
        return None if moment is None else moment.at - after

    def await_seen(self, seen: Seen, *, after: float, deadline_seconds: float) -> float | None:
        """Wait until something is seen; return how long after the time it was, or None."""
        while time.monotonic() < after + deadline_seconds:
            found = self.seconds_until(seen, after=after)
            if found is not None:
                return found
            time.sleep(_EVERY_SECONDS / 2)
        return self.seconds_until(seen, after=after)

    def between(self, start: float, stop: float) -> list[Moment]:
        """Return the moments of a span at which ingest answered."""
        return [one for one in self.moments if start <= one.at <= stop and one.figures is not None]

    def rates(self, name: str, start: float, stop: float, *, window_seconds: float) -> list[float]:
        """Return a counter's rise a second over each stretch of about the window's length."""
        rates: list[float] = []
        begin: Moment | None = None
        for moment in self.between(start, stop):
            if begin is None:
                begin = moment
            elif moment.at - begin.at >= window_seconds:
                rates.append(_rise(name, begin, moment) / (moment.at - begin.at))
                begin = moment
        return rates

    def _look_on(self) -> None:
        while not self._stopping.wait(_EVERY_SECONDS):
            self.moments.append(self._look())

    def _look(self) -> Moment:
        at = time.monotonic()
        if not self.ingest.is_running:
            return Moment(at, None, False, {}, 0)
        try:
            figures = figures_of(self.ingest)
            status, text = self.ingest.get("/readyz", _ANSWER_SECONDS)
            words = msgspec.json.decode(text)["checks"]
        except OSError:
            return Moment(at, None, False, {}, self.ingest.usage().resident_bytes)
        return Moment(at, figures, status == 200, words, self.ingest.usage().resident_bytes)


def _rise(name: str, begin: Moment, end: Moment) -> float:
    return (end.figures or {}).get(name, 0.0) - (begin.figures or {}).get(name, 0.0)
