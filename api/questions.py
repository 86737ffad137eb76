"""What the API asks the store: each question cached, timed, and the same for all who ask it."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TypeVar

from msgspec import Struct

from api.cache import AnswerCache
from api.figures import Figures
from api.gates import Gate, Gates
from telemetry.reading import Reading
from telemetry.store import (
    Aggregate,
    Aggregated,
    Bucket,
    Position,
    Row,
    Selection,
    SequenceCount,
    Series,
    Store,
    StoredField,
    StoredSequence,
)
from telemetry.topics import OWN_SITE

_MOST_FIGURES = 50_000
_RATE_MS = 60_000
_KEEP_RATES_SECONDS = 5.0  # what a minute holds changes little in that time

Answer = TypeVar("Answer")


def now_ms() -> int:
    """Return the time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Aggregation(Struct, frozen=True):
    """How readings are gathered: over intervals of `every_ms`, aligned to the epoch."""

    every_ms: int
    aggregate: Aggregate


class Questions:
    """The questions that routes ask; every method raises StoreError."""

    def __init__(self, store: Store, cache: AnswerCache, figures: Figures, gates: Gates) -> None:
        self._store = store
        self._cache = cache
        self._figures = figures
        self._gates = gates

    def once(self, question: str, *given: object, ask: Callable[[], Answer]) -> Answer:
        """Return the answer to a question, put together only once by all who ask it now."""
        return self._cache.get((question, *given), ask)

    def check(self) -> str | None:
        """Return what is wrong with the store, or None."""
        try:
            self.once("check", ask=lambda: self._figures.timed(self._store.check))
        except Exception as error:  # noqa: BLE001 - whatever is wrong, it is the word to give
            return str(error)
        return None

    def series(self) -> list[Series]:
        """Return every series of the devices."""
        return [one for one in self._every_series() if one.site != OWN_SITE]

    def latest(self, *, site: str | None = None, device: str | None = None) -> list[Reading]:
        """Return the latest reading of each series, own figures only where `site` names them."""
        found = self._ask(
            "latest", site, device, ask=lambda: self._store.latest(site=site, device=device)
        )
        return [one for one in found if site == OWN_SITE or one.site != OWN_SITE]

    def latest_figures(self, measurement: str) -> list[Reading]:
        """Return the latest own figures of each process of a service."""
        return [one for one in self.latest(site=OWN_SITE) if one.measurement == measurement]

    def figures_since(self, measurement: str, start_ms: int) -> list[Reading]:
        """Return a service's own figures of a time on, of all its processes."""
        selection = Selection(
            start_ms=start_ms, stop_ms=now_ms() + 1, site=OWN_SITE, measurement=measurement
        )
        return self._ask(
            "figures",
            measurement,
            start_ms,
            ask=lambda: self._store.readings(selection, limit=_MOST_FIGURES, descending=True),
        )[::-1]

    def rates(self) -> Mapping[str, float]:
        """Return the readings per second of each device over the last minute, if it had any."""
        return self._cache.get(
            ("rates",),
            lambda: self._at(self._gates.others, self._count),
            keep_seconds=_KEEP_RATES_SECONDS,
        )

    def fields(self) -> list[StoredField]:
        """Return the fields of all measurements, own figures among them."""
        return self._ask("fields", ask=self._store.fields)

    def field_names(self, selection: Selection) -> tuple[str, ...]:
        """Return which fields the selected readings may have, of any time."""
        measurements = {one.measurement for one in self._every_series() if _holds(selection, one)}
        return tuple(sorted({one.name for one in self.fields() if one.measurement in measurements}))

    def table_place(self) -> AbstractContextManager[None]:
        """Hold a place for a table that is sent."""
        return self._gates.tables.place()

    def rows(
        self,
        selection: Selection,
        fields: Sequence[str],
        *,
        descending: bool,
        after: Position | None,
    ) -> Iterator[list[Row]]:
        """Yield readings as rows, page by page; who asks holds a place for a table."""
        pages = self._store.rows(selection, fields, descending=descending, after=after)
        while (page := self._figures.timed(lambda: next(pages, None))) is not None:
            yield page

    def table_buckets(
        self,
        selection: Selection,
        aggregation: Aggregation,
        *,
        limit: int,
        descending: bool,
        after: Position | None,
    ) -> list[Bucket]:
        """Return intervals for a table, as `rows`."""
        return self._figures.timed(
            lambda: (
                self._store.aggregate(
                    selection,
                    every_ms=aggregation.every_ms,
                    aggregate=aggregation.aggregate,
                    limit=limit,
                    descending=descending,
                    after=after,
                ).buckets
            )
        )

    def readings(
        self,
        selection: Selection,
        *,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> list[Reading]:
        """Return readings as they are stored; uncached, as `once` caches what is made of them."""
        return self._at(
            self._gates.ranges,
            lambda: self._store.readings(
                selection, limit=limit, descending=descending, after=after
            ),
        )

    def aggregate(
        self,
        selection: Selection,
        aggregation: Aggregation,
        *,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> Aggregated:
        """Return readings, aggregated over intervals; uncached, as `readings`."""
        return self._at(
            self._gates.ranges,
            lambda: self._store.aggregate(
                selection,
                every_ms=aggregation.every_ms,
                aggregate=aggregation.aggregate,
                limit=limit,
                descending=descending,
                after=after,
            ),
        )

    def sequence_counts(self) -> list[SequenceCount]:
        """Return how many readings of each boot of each device are stored."""
        return self._ask("sequence_counts", ask=lambda: list(self._store.sequence_counts()))

    def of_sequences(
        self,
        make: Callable[[Iterator[StoredSequence]], Answer],
        *,
        device: str,
        start_ms: int,
        stop_ms: int,
    ) -> Answer:
        """Return what is made of a device's stored sequence numbers; uncached, as `readings`."""
        return self._at(
            self._gates.ranges,
            lambda: make(self._store.sequences(device=device, start_ms=start_ms, stop_ms=stop_ms)),
        )

    def _every_series(self) -> list[Series]:
        return self._ask("series", ask=self._store.series)

    def _count(self) -> dict[str, float]:
        now = now_ms()
        found: Counter[str] = Counter()
        for one in self._store.counts(now - _RATE_MS, now):
            if one.site != OWN_SITE:
                found[one.device] += one.count
        return {device: round(count * 1_000 / _RATE_MS, 3) for device, count in found.items()}

    def _ask(self, question: str, *given: object, ask: Callable[[], Answer]) -> Answer:
        return self.once(question, *given, ask=lambda: self._at(self._gates.others, ask))

    def _at(self, gate: Gate, ask: Callable[[], Answer]) -> Answer:
        with gate.place():
            return self._figures.timed(ask)


def _holds(selection: Selection, series: Series) -> bool:
    return (
        selection.site in (None, series.site)
        and selection.device in (None, series.device)
        and selection.measurement in (None, series.measurement)
        and selection.except_site != series.site
    )
