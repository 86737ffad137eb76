"""Readings as they are answered: one by one, or gathered over intervals."""

from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from api import chart
from api.cursors import cursor_of, place_of
from api.parameters import USUAL_LIMIT, DeviceReadingsParameters, ReadingsParameters, at_most
from api.problems import BadQuestion
from api.quantities import Milliseconds, Time
from api.questions import Aggregation, Questions, now_ms
from api.settings import ApiSettings
from api.status_board import OWN_PREFIX
from api.times import rfc3339
from telemetry.reading import EpochMs, Reading, Sequence, Value
from telemetry.store import Aggregate, Bucket, Position, Resolution, Selection
from telemetry.topics import OWN_SITE
from telemetry.worked_out import worked_out

_HOUR_MS = 3_600_000


class ReadingAnswer(Struct, frozen=True, gc=False):
    """A reading, or an interval: then `time` is its start, and `boot` and `seq` are null."""

    time: Time
    site: str
    device: str
    measurement: str
    values: dict[str, Value]
    boot: Time | None
    seq: Sequence | None


class LatestAnswer(Struct, frozen=True):
    """The latest reading of each series."""

    readings: list[ReadingAnswer]
    truncated: bool


class ReadingsAnswer(Struct, frozen=True):
    """The readings of start <= time < stop; where there are more, `next` is the path to them.

    `resolution` says whether aggregates were made from the readings, or from minutes or hours.
    """

    start: Time
    stop: Time
    every_ms: Milliseconds | None
    aggregate: Aggregate | None
    resolution: Resolution
    order: Literal["asc", "desc"]
    truncated: bool
    next: str | None
    readings: list[ReadingAnswer]


class ReadingsPage(Struct, frozen=True):
    """An answer, and the cursor of its end where there is more."""

    answer: ReadingsAnswer
    cursor: str | None


@worked_out
class Place(Struct, frozen=True, array_like=True):
    """Where an answer ended: its range, which stays as it was, and the last that it held."""

    start_ms: EpochMs
    stop_ms: EpochMs
    position: Position


class Question(Struct, frozen=True, array_like=True):
    """What a cursor is bound to: the parameters as they were given, and whose readings they ask."""

    asked: DeviceReadingsParameters
    site: str | None
    device: str | None


class Range(Struct, frozen=True):
    """A question for readings, worked out and found to be within the limits."""

    question: Question
    selection: Selection
    aggregation: Aggregation | None
    limit: int
    order: Literal["asc", "desc"]
    after: Position | None

    @property
    def descending(self) -> bool:
        """Whether the newest come first."""
        return self.order == "desc"

    def cursor(self, last: Reading | Bucket) -> str:
        """Return the cursor of the place behind a reading or an interval."""
        time_ms = last.time_ms if isinstance(last, Reading) else last.start_ms
        position = Position(time_ms, last.device, last.measurement, last.site)
        range_ = self.selection
        return cursor_of(self.question, Place(range_.start_ms, range_.stop_ms, position))


def work_out(
    asked: DeviceReadingsParameters, settings: ApiSettings, *, site: str | None, device: str | None
) -> Range:
    """Return the question that parameters ask now; BadQuestion where it is beyond the limits."""
    question = Question(replace(asked, cursor=None, limit=None, format=None), site, device)
    place = None if asked.cursor is None else place_of(asked.cursor, question, Place)
    now = now_ms()
    start_ms = place.start_ms if place else asked.start.at(now)
    stop_ms = place.stop_ms if place else asked.stop.at(now)
    if start_ms >= stop_ms:
        raise BadQuestion("start", "start must be before stop.")
    if stop_ms - start_ms > settings.max_range_hours * _HOUR_MS:
        longest = f"{settings.max_range_hours} h"
        raise BadQuestion("start", f"start to stop: at most {longest} is allowed.")
    selection = Selection(
        start_ms=start_ms,
        stop_ms=stop_ms,
        site=site,
        device=device,
        measurement=asked.measurement,
        fields=asked.fields.names if asked.fields else None,
        except_site=_except_site(asked, site, device),
    )
    return Range(
        question=question,
        selection=selection,
        aggregation=_aggregation(asked, start_ms, stop_ms, settings.max_points),
        limit=at_most("limit", asked.limit or USUAL_LIMIT, settings.max_points),
        order=asked.order,
        after=place.position if place else None,
    )


def answer_range(questions: Questions, asked: Range) -> ReadingsPage:
    """Ask the store for a range, one more than the limit, so as to know whether there are more."""
    aggregation = asked.aggregation
    found, resolution = _ask(questions, asked)
    truncated = len(found) > asked.limit
    del found[asked.limit :]
    answer = ReadingsAnswer(
        start=rfc3339(asked.selection.start_ms),
        stop=rfc3339(asked.selection.stop_ms),
        every_ms=aggregation.every_ms if aggregation else None,
        aggregate=aggregation.aggregate if aggregation else None,
        resolution=resolution,
        order=asked.order,
        truncated=truncated,
        next=None,
        readings=[_answer(one) for one in found],
    )
    return ReadingsPage(answer, asked.cursor(found[-1]) if truncated else None)


def latest_answer(readings: list[Reading], limit: int) -> LatestAnswer:
    """Return the latest readings, at most `limit`."""
    shown = [reading_answer(one) for one in readings[:limit]]
    return LatestAnswer(shown, len(readings) > limit)


def reading_answer(one: Reading) -> ReadingAnswer:
    """Return a reading as it is answered."""
    boot = None if one.boot_ms is None else rfc3339(one.boot_ms)
    time = rfc3339(one.time_ms)
    return ReadingAnswer(time, one.site, one.device, one.measurement, one.values, boot, one.seq)


def _ask(questions: Questions, asked: Range) -> tuple[list[Reading] | list[Bucket], Resolution]:
    limit, descending, after = asked.limit + 1, asked.descending, asked.after
    if asked.aggregation is None:
        found = questions.readings(asked.selection, limit=limit, descending=descending, after=after)
        return found, "raw"
    aggregated = questions.aggregate(
        asked.selection, asked.aggregation, limit=limit, descending=descending, after=after
    )
    return aggregated.buckets, aggregated.resolution


def _answer(one: Reading | Bucket) -> ReadingAnswer:
    if isinstance(one, Reading):
        return reading_answer(one)
    time = rfc3339(one.start_ms)
    return ReadingAnswer(time, one.site, one.device, one.measurement, one.values, None, None)


def _aggregation(
    asked: DeviceReadingsParameters, start_ms: int, stop_ms: int, max_points: int
) -> Aggregation | None:
    if asked.every is not None and asked.points is not None:
        raise BadQuestion("points", "points and every exclude each other.")
    if asked.points is not None:
        at_most("points", asked.points, max_points)
        every_ms = chart.interval_ms(start_ms, stop_ms, asked.points, max_points)
    elif asked.every is not None:
        every_ms = asked.every.ms
    elif asked.aggregate is not None:
        raise BadQuestion("aggregate", "aggregate needs every or points.")
    else:
        return None
    intervals = chart.intervals(start_ms, stop_ms, every_ms)
    if intervals > max_points:
        words = f"{intervals} intervals from start to stop: at most {max_points} are allowed."
        raise BadQuestion("every", words)
    return Aggregation(every_ms, asked.aggregate or "mean")


def _except_site(asked: DeviceReadingsParameters, *named: str | None) -> str | None:
    """Leave own figures out, unless a question to the fleet names their place or measurement."""
    is_named = any(named) or (asked.measurement or "").startswith(OWN_PREFIX)
    return None if is_named and isinstance(asked, ReadingsParameters) else OWN_SITE
