"""The production store: InfluxDB 2, written in line protocol and asked in InfluxQL."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import wait

from telemetry.blocking import beside
from telemetry.lineprotocol import LineProtocolError, format_line
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store import (
    Aggregate,
    Aggregated,
    Bucket,
    Position,
    ReadingCount,
    Refused,
    Resolution,
    Row,
    Selection,
    SequenceCount,
    Series,
    StoredField,
    StoredSequence,
    StoreMisconfigured,
)
from telemetry.store.influxdb import answers, questions
from telemetry.store.influxdb.answers import SeriesName
from telemetry.store.influxdb.catalogue import Catalogue
from telemetry.store.influxdb.failures import Verdict
from telemetry.store.influxdb.intervals import Buckets, Intervals
from telemetry.store.influxdb.isolation import write_isolating
from telemetry.store.influxdb.questions import Column, Question
from telemetry.store.influxdb.resolution import PARTS, parts, resolution_of
from telemetry.store.influxdb.session import FloatRows, InfluxSession, Place, Rows
from telemetry.store.paging import (
    FIRST_SPAN_MS,
    PLACE_OF_BUCKET,
    PLACE_OF_READING,
    PLACE_OF_ROW,
    Group,
    Pager,
    behind,
    in_order,
    resumed,
    rows_at_once,
)

_WORTH_TWO_REQUESTS = 2_000  # lines
_LATELY_MS = 3 * 3_600_000  # of a device that tells something every hour, two are missing
_MOST_BY_NAME = 100  # devices in a question


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
        self._session = InfluxSession(place, token, timeout_seconds, write_only=not read_only)
        self._catalogue = Catalogue(
            lambda bucket, statement: self._rows(Question(statement, {}), bucket=bucket)
        )

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        """Store the readings; what InfluxDB refuses is found line by line."""
        try:
            return self.write_lines([format_line(one).encode() for one in readings])
        except LineProtocolError:
            return self._write_what_can_be(readings)

    def write_lines(self, lines: Sequence[bytes], *, divisible: bool = False) -> list[Refused]:
        """Store the readings of lines; what InfluxDB refuses is found line by line.

        InfluxDB reads a request on one core, and stands still while it syncs: of many lines one
        half is read while the other is.
        """
        if not divisible or len(lines) < _WORTH_TWO_REQUESTS:
            return write_isolating(lines, self._send)
        middle = len(lines) // 2
        other = beside(lambda: write_isolating(lines[middle:], self._send))
        try:
            refused = write_isolating(lines[:middle], self._send)
        finally:
            # Also after a failure: nothing of this batch is on its way when it is written again.
            wait([other])
        return refused + [Refused(middle + one.index, one.reason) for one in other.result()]

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
        """Return the latest reading of each series.

        InfluxDB looks into each day that it keeps, for each series. So only those that have none
        of the last hours are looked for in all of them.
        """
        found = self._lately(site, device)
        silent = {name for name, reading in found.items() if reading is None}
        if silent:
            devices = {device for _site, device, _measurement in silent}
            asked = questions.latest_of_question(site, sorted(devices))
            if len(devices) > _MOST_BY_NAME:
                measurements = sorted({measurement for _site, _device, measurement in silent})
                asked = questions.latest_question(site, device, measurements)
            found |= {answers.series_of(one): one for one in self._readings(asked)}
        return [one for _name, one in sorted(found.items()) if one is not None]

    def fields(self) -> list[StoredField]:
        """Return the fields of all readings."""
        held = self._catalogue.measurements(self.place.bucket)
        return [field for one in held for field in one.fields()]

    def counts(self, start_ms: int, stop_ms: int) -> list[ReadingCount]:
        """Return how many readings each series has in a range of time."""
        measurements = self._measurements()
        if not measurements:
            return []
        asked = questions.counts_question(start_ms, stop_ms, measurements)
        found = answers.reading_counts(self._rows(asked))
        return sorted(found, key=lambda one: (one.site, one.device, one.measurement))

    def readings(
        self,
        selection: Selection,
        *,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> list[Reading]:
        """Return the selected readings in order of time."""

        def ask(piece: Selection, most: int) -> list[Group[Reading]]:
            asked = questions.readings_question(piece, most, descending=descending)
            found = [list(answers.readings(rows)) for rows in self._rows(asked)]
            return [Group(several, len(several) == most) for several in found]

        pager = Pager(ask, PLACE_OF_READING, selection, descending=descending, after=after)
        return pager.first(limit)

    def rows(
        self,
        selection: Selection,
        fields: Sequence[str],
        *,
        descending: bool = False,
        after: Position | None = None,
    ) -> Iterator[list[Row]]:
        """Yield all selected readings in order of time, page by page."""
        columns = self._catalogue.table(self.place.bucket, selection, fields)
        if not columns:
            return iter(())

        def ask(piece: Selection, most: int) -> list[Group[Row]]:
            asked = questions.rows_question(piece, columns, most, descending=descending)
            found = [answers.table(rows, fields) for rows in self._rows(asked)]
            return [Group(several, len(several) == most) for several in found]

        pager = Pager(ask, PLACE_OF_ROW, selection, descending=descending, after=after)
        limit = max(1, rows_at_once(len(fields)) // len(columns))
        return pager.pages(limit, span_ms=FIRST_SPAN_MS)

    def aggregate(
        self,
        selection: Selection,
        *,
        every_ms: int,
        aggregate: Aggregate,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> Aggregated:
        """Return the aggregated readings; long ranges come from minutes or hours where they can.

        InfluxDB limits the intervals of each series, not of all. Where a question is for many
        series the range is therefore asked piece by piece, each as long as what is lacking needs.
        """
        resolution = resolution_of(selection, every_ms, aggregate)
        if resolution != "raw" and not self._holds(resolution):
            resolution = "raw"
        asked = Buckets(every_ms, aggregate, limit, descending, resolution)
        walk = Intervals(resumed(selection, after, every_ms, descending=descending), asked)
        found: list[Bucket] = []
        while len(found) < limit and (piece := walk.next_piece()) is not None:
            several = behind(self._piece(piece, asked), after, PLACE_OF_BUCKET)
            found += in_order(several, PLACE_OF_BUCKET, descending=descending)
            walk.learn(len(several), limit - len(found))
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

    def _send(self, lines: Sequence[bytes]) -> Verdict:
        return self._session.write(b"\n".join(lines))

    def _write_what_can_be(self, readings: Sequence[Reading]) -> list[Refused]:
        lines: list[bytes] = []
        places: list[int] = []
        refused: list[Refused] = []
        for index, reading in enumerate(readings):
            try:
                lines.append(format_line(reading).encode())
                places.append(index)
            except LineProtocolError as error:
                refused.append(Refused(index, str(error)))
        found = self.write_lines(lines)
        return refused + [Refused(places[one.index], one.reason) for one in found]

    def _counts_of_boots(self, device: str) -> Iterator[SequenceCount]:
        found = answers.mappings(self._rows(questions.boots_question(device)))
        for boot_ms in sorted({row["distinct"] for row in found}):
            counted = self._rows(questions.boot_question(device, boot_ms))
            yield from answers.sequence_counts(device, boot_ms, answers.mappings(counted))

    def _piece(self, selection: Selection, asked: Buckets) -> list[Bucket]:
        """Return the buckets of a part of a range, at most the limit of each series."""
        if asked.resolution == "raw":
            found = self._asked("raw", selection, (asked.aggregate,), asked)
            return [
                bucket
                for rows, columns in found
                for bucket in answers.buckets(rows, columns, selection)
            ]
        merging = answers.Merging(asked.aggregate)
        for held_in, part in parts(selection, asked.resolution, time.time_ns() // 1_000_000):
            for rows, columns in self._asked(held_in, part, PARTS[asked.aggregate], asked):
                merging.add(rows, columns, part)
        return list(merging.buckets())

    def _asked(
        self,
        resolution: Resolution,
        selection: Selection,
        aggregates: Sequence[Aggregate],
        asked: Buckets,
    ) -> Iterator[tuple[FloatRows, list[Column]]]:
        """Ask one bucket; yield its rows, each with what stands in its columns."""
        bucket = self._bucket(resolution)
        columns = self._catalogue.columns(bucket, selection, aggregates, raw=resolution == "raw")
        if columns:
            question = questions.aggregate_question(
                selection, columns, asked.every_ms, asked.limit, descending=asked.descending
            )
            found = self._session.query_floats(question.statement, question.bound, bucket=bucket)
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

    def _lately(self, site: str | None, device: str | None) -> dict[SeriesName, Reading | None]:
        """Return the latest reading of each series; None where it is not of the last hours."""
        start_ms = time.time_ns() // 1_000_000 - _LATELY_MS
        found: dict[SeriesName, Reading | None] = {}
        readings: list[Reading] = []
        # One that is new, and not in the catalogue yet, is among the silent: the index knows it.
        measurements = self._measurements() if device is None else None
        for rows in self._rows(questions.lately_question(site, device, start_ms, measurements)):
            if rows.columns == answers.SERIES_COLUMNS:
                found |= dict.fromkeys(answers.series(rows))
            else:
                readings += answers.readings(rows)
        return found | {answers.series_of(one): one for one in readings}

    def _measurements(self) -> list[str]:
        return [one.name for one in self._catalogue.measurements(self.place.bucket)]

    def _readings(self, asked: Question) -> list[Reading]:
        return [one for rows in self._rows(asked) for one in answers.readings(rows)]

    def _rows(self, asked: Question, *, bucket: str | None = None) -> list[Rows]:
        return self._session.query(asked.statement, asked.bound, bucket=bucket)
