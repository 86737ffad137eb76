"""The production store: InfluxDB 2, written in line protocol and asked in InfluxQL."""

import time
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from telemetry.lineprotocol import LineProtocolError, format_line
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import (
    Aggregate,
    Aggregated,
    Bucket,
    Refused,
    Resolution,
    Selection,
    SequenceCount,
    Series,
    StoredSequence,
    StoreMisconfigured,
)
from telemetry.store.influxdb import answers, questions
from telemetry.store.influxdb.catalogue import Catalogue
from telemetry.store.influxdb.failures import Verdict
from telemetry.store.influxdb.isolation import write_isolating
from telemetry.store.influxdb.questions import Column, Question
from telemetry.store.influxdb.resolution import PARTS, parts, resolution_of
from telemetry.store.influxdb.session import FloatRows, InfluxSession, Place, Rows

_MOST_INTERVALS = 50_000  # in a question; InfluxDB is told to allow 100,000
_GROWTH = 4


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
        self._catalogue = Catalogue(
            lambda bucket, statement: self._rows(Question(statement, {}), bucket=bucket)
        )

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        """Store the readings; what InfluxDB refuses is found line by line."""
        try:
            return write_isolating([format_line(one) for one in readings], self._send)
        except LineProtocolError:
            return self._write_what_can_be(readings)

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
        """Return the aggregated readings; long ranges come from minutes or hours where they can.

        InfluxDB limits the intervals of each series, not of all. Where a question is for many
        series the range is therefore asked piece by piece, each as long as what is lacking needs.
        """
        resolution = resolution_of(selection, every_ms, aggregate)
        if resolution != "raw" and not self._holds(resolution):
            resolution = "raw"
        found: list[Bucket] = []
        intervals = 1 if selection.device is None else _MOST_INTERVALS
        start_ms = selection.start_ms
        while start_ms < selection.stop_ms and len(found) < limit:
            stop_ms = min((start_ms // every_ms + intervals) * every_ms, selection.stop_ms)
            piece = replace(selection, start_ms=start_ms, stop_ms=stop_ms)
            several = self._piece(piece, every_ms, aggregate, limit, resolution)
            found += sorted(several, key=lambda one: (one.start_ms, one.device, one.measurement))
            lacking = (limit - len(found)) * intervals // max(1, len(several))
            intervals = max(1, min(lacking, intervals * _GROWTH, _MOST_INTERVALS))
            start_ms = stop_ms
        return Aggregated(found[:limit], resolution)

    def sequence_counts(self) -> Iterator[SequenceCount]:
        """Yield the count and greatest number of each boot."""
        by_device: dict[str, list[dict[str, int]]] = {}
        for row in answers.mappings(self._rows(questions.COUNTS)):
            by_device.setdefault(row["device"], []).append(row)
        for device, found in sorted(by_device.items()):
            boots = {row[edge] for row in found for edge in ("min", "max_1")} - {None}
            # Only where no reading has one of the two alone does the count of all hold.
            if len(boots) == 1 and all(row["count"] == row["count_1"] for row in found):
                yield from answers.sequence_counts(device, boots.pop(), found)
            elif boots:
                yield from self._counts_of_boots(device)

    def sequences(
        self,
        *,
        device: str | None = None,
        start_ms: int | None = None,
        stop_ms: int | None = None,
    ) -> Iterator[StoredSequence]:
        """Yield the identity and place of the stored readings that have them."""
        asked = questions.sequences_question(device, start_ms, stop_ms)
        for rows in self._session.stream(asked.statement, asked.bound):
            yield from answers.sequences(rows)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _send(self, lines: Sequence[str]) -> Verdict:
        return self._session.write("\n".join(lines).encode())

    def _write_what_can_be(self, readings: Sequence[Reading]) -> list[Refused]:
        lines: list[str] = []
        places: list[int] = []
        refused: list[Refused] = []
        for index, reading in enumerate(readings):
            try:
                lines.append(format_line(reading))
                places.append(index)
            except LineProtocolError as error:
                refused.append(Refused(index, str(error)))
        found = write_isolating(lines, self._send)
        return refused + [Refused(places[one.index], one.reason) for one in found]

    def _counts_of_boots(self, device: str) -> Iterator[SequenceCount]:
        found = answers.mappings(self._rows(questions.boots_question(device)))
        for boot_ms in sorted({row["distinct"] for row in found}):
            counted = self._rows(questions.boot_question(device, boot_ms))
            yield from answers.sequence_counts(device, boot_ms, answers.mappings(counted))

    def _piece(
        self,
        selection: Selection,
        every_ms: int,
        aggregate: Aggregate,
        limit: int,
        resolution: Resolution,
    ) -> list[Bucket]:
        """Return the buckets of a part of a range, at most `limit` of each series."""
        if resolution == "raw":
            asked = self._asked("raw", selection, (aggregate,), every_ms, limit)
            return [
                bucket
                for rows, columns in asked
                for bucket in answers.buckets(rows, columns, selection)
            ]
        merging = answers.Merging(aggregate)
        for held_in, part in parts(selection, resolution, time.time_ns() // 1_000_000):
            asked = self._asked(held_in, part, PARTS[aggregate], every_ms, limit)
            for rows, columns in asked:
                merging.add(rows, columns, part)
        return list(merging.buckets())

    def _asked(
        self,
        resolution: Resolution,
        selection: Selection,
        aggregates: Sequence[Aggregate],
        every_ms: int,
        limit: int,
    ) -> Iterator[tuple[FloatRows, list[Column]]]:
        """Ask one bucket; yield its rows, each with what stands in its columns."""
        bucket = self._bucket(resolution)
        columns = self._catalogue.columns(bucket, selection, aggregates, raw=resolution == "raw")
        if columns:
            asked = questions.aggregate_question(selection, columns, every_ms, limit)
            found = self._session.query_floats(asked.statement, asked.bound, bucket=bucket)
            for rows in found:
                yield rows, columns[rows.name]

    def _holds(self, resolution: Resolution) -> bool:
        """Whether there is a bucket of a resolution that may be read; not all are set up so."""
        try:
            self._catalogue.measurements(self._bucket(resolution))
        except StoreMisconfigured:
            return False
        return True

    def _bucket(self, resolution: Resolution) -> str:
        return self.place.bucket if resolution == "raw" else f"{self.place.bucket}_{resolution}"

    def _readings(self, asked: Question) -> list[Reading]:
        return [one for rows in self._rows(asked) for one in answers.readings(rows)]

    def _rows(self, asked: Question, *, bucket: str | None = None) -> list[Rows]:
        return self._session.query(asked.statement, asked.bound, bucket=bucket)
