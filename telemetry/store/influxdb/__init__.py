"""The production store: InfluxDB 2, written in line protocol and asked in InfluxQL."""

import time
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import chain

from msgspec.structs import replace

from telemetry.lineprotocol import LineProtocolError, format_line
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import (
    EVERYTHING,
    Aggregate,
    Aggregated,
    Bucket,
    Refused,
    Resolution,
    Selection,
    SequenceCount,
    Series,
    StoredSequence,
)
from telemetry.store.influxdb import questions
from telemetry.store.influxdb.isolation import write_isolating
from telemetry.store.influxdb.questions import Question
from telemetry.store.influxdb.session import InfluxSession, Place, Rows

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000
# The tasks aggregate again what came in the last hour: there the raw readings are asked.
_SETTLED_AFTER_MS = {"1m": _HOUR_MS + 2 * _MINUTE_MS, "1h": 2 * _HOUR_MS}
_LONG_RANGE_MS = {"1m": 6 * _HOUR_MS, "1h": 7 * 24 * _HOUR_MS}
_INTERVAL_MS: dict[Resolution, int] = {"1h": _HOUR_MS, "1m": _MINUTE_MS}


class InfluxStore:
    """A store in one bucket, and in two more that hold its minutes and hours."""

    name = "influxdb"

    def __init__(
        self,
        place: Place,
        token: Secret,
        *,
        read_only: bool = False,
        timeout_seconds: float = 10.0,
    ) -> None:
        self.place = place
        self._read_only = read_only
        self._session = InfluxSession(place, token, timeout_seconds)

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        """Store the readings; what InfluxDB refuses is found line by line."""
        lines: list[bytes] = []
        places: list[int] = []
        refused: list[Refused] = []
        for index, reading in enumerate(readings):
            try:
                lines.append(format_line(reading).encode())
                places.append(index)
            except LineProtocolError as error:
                refused.append(Refused(index, str(error)))
        found = write_isolating(lines, lambda some: self._session.write(b"\n".join(some)))
        return refused + [Refused(places[one.index], one.reason) for one in found]

    def check(self) -> None:
        """Raise StoreError, naming whether it is the URL, organisation, bucket or token."""
        self._session.version()
        if self._read_only:
            self._session.check_read_access()
        else:
            self._session.check_write_access()

    def series(self) -> list[Series]:
        """Return every series with the time of its last reading."""
        return [Series(one.site, one.device, one.measurement, one.time_ms) for one in self.latest()]

    def latest(self, *, site: str | None = None, device: str | None = None) -> list[Reading]:
        """Return the latest reading of each series."""
        found = self._readings(questions.latest_question(site, device))
        return sorted(found, key=lambda one: (one.site, one.device, one.measurement))

    def readings(
        self, selection: Selection, *, limit: int, descending: bool = False
    ) -> list[Reading]:
        """Return the selected readings in order of time."""
        found = self._readings(questions.readings_question(selection, limit, descending=descending))
        sign = -1 if descending else 1
        found.sort(key=lambda one: (sign * one.time_ms, one.device, one.measurement))
        return found[:limit]

    def aggregate(
        self, selection: Selection, *, every_ms: int, aggregate: Aggregate, limit: int
    ) -> Aggregated:
        """Return the aggregated readings; long ranges come from minutes or hours where they can."""
        resolution = _resolution(selection, every_ms, aggregate)
        if resolution == "raw":
            return Aggregated(self._raw(selection, every_ms, aggregate, limit), "raw")
        now_ms = time.time_ns() // 1_000_000
        settled_ms = now_ms - _SETTLED_AFTER_MS[resolution]
        border_ms = max(settled_ms - settled_ms % every_ms, selection.start_ms)
        before = replace(selection, stop_ms=min(border_ms, selection.stop_ms))
        after = replace(selection, start_ms=border_ms)
        old = self._rolled_up(before, every_ms, aggregate, limit, resolution)
        new = self._raw(after, every_ms, aggregate, limit)
        return Aggregated(list(merge(old, new, key=_order))[:limit], resolution)

    def sequence_counts(self) -> Iterator[SequenceCount]:
        """Yield the count and greatest number of each boot."""
        by_device: dict[str, list[dict[str, int]]] = {}
        for found in self._rows(questions.COUNTS):
            rows = [row for row in questions.dictionaries(found) if row["count"]]
            by_device.setdefault(found.tags["device"], []).extend(
                row for row in rows if row["min"] is not None
            )
        for device, rows in sorted(by_device.items()):
            boots = {row[edge] for row in rows for edge in ("min", "max_1")}
            if len(boots) == 1:
                yield _sequence_count(device, boots.pop(), rows)
            elif boots:
                yield from self._counts_of_boots(device)

    def sequences(self, selection: Selection = EVERYTHING) -> Iterator[StoredSequence]:
        """Yield the identity and place of the selected readings that have them."""
        asked = questions.sequences_question(selection)
        for found in self._session.stream(asked.statement, asked.bound):
            site, device = found.tags["site"], found.tags["device"]
            for time_ms, boot_ms, seq in found.values:
                if boot_ms is not None and seq is not None:
                    yield StoredSequence(site, device, found.name, time_ms, boot_ms, seq)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _counts_of_boots(self, device: str) -> Iterator[SequenceCount]:
        asked = questions.boots_question(device)
        boots = {row["distinct"] for found in self._rows(asked) for row in _all(found)}
        for boot_ms in sorted(boots):
            asked = questions.boot_question(device, boot_ms)
            rows = [row for found in self._rows(asked) for row in _all(found) if row["count"]]
            yield _sequence_count(device, boot_ms, rows)

    def _raw(
        self, selection: Selection, every_ms: int, aggregate: Aggregate, limit: int
    ) -> list[Bucket]:
        if selection.start_ms >= selection.stop_ms:
            return []
        asked = questions.aggregate_question(selection, every_ms, aggregate, limit, rolled_up=False)
        return _ordered(questions.buckets(found, aggregate) for found in self._rows(asked))[:limit]

    def _rolled_up(
        self,
        selection: Selection,
        every_ms: int,
        aggregate: Aggregate,
        limit: int,
        resolution: Resolution,
    ) -> list[Bucket]:
        if selection.start_ms >= selection.stop_ms:
            return []
        asked = questions.aggregate_question(selection, every_ms, aggregate, limit, rolled_up=True)
        rows = self._rows(asked, bucket=f"{self.place.bucket}_{resolution}")
        return _ordered(questions.rolled_up_buckets(found, aggregate) for found in rows)

    def _readings(self, asked: Question) -> list[Reading]:
        return [one for found in self._rows(asked) for one in questions.readings(found)]

    def _rows(self, asked: Question, *, bucket: str | None = None) -> list[Rows]:
        (found,) = self._session.query(asked.statement, asked.bound, bucket=bucket)
        return found


def _resolution(selection: Selection, every_ms: int, aggregate: Aggregate) -> Resolution:
    span_ms = selection.stop_ms - selection.start_ms
    if aggregate in ("mean", "min", "max", "sum"):
        for resolution, interval_ms in _INTERVAL_MS.items():
            if every_ms % interval_ms == 0 and span_ms >= _LONG_RANGE_MS[resolution]:
                return resolution
    return "raw"


def _ordered(parts: Iterable[Iterator[Bucket]]) -> list[Bucket]:
    found = [list(part) for part in parts]
    # Each series comes in order of time: a single one is in order already.
    whole = found[0] if len(found) == 1 else sorted(chain.from_iterable(found), key=_order)
    return [bucket for bucket in whole if bucket.values]


def _all(found: Rows) -> Iterator[dict[str, int]]:
    return questions.dictionaries(found)


def _sequence_count(device: str, boot_ms: int, found: list[dict[str, int]]) -> SequenceCount:
    count = sum(row["count"] for row in found)
    return SequenceCount(device, boot_ms, count, max(row["max"] for row in found))


def _order(bucket: Bucket) -> tuple[int, str, str]:
    return bucket.start_ms, bucket.device, bucket.measurement
