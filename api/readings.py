"""Readings as they are answered: one by one, or gathered over intervals."""

from typing import Literal

from msgspec import Struct

from api.parameters import DeviceReadingsParameters, ReadingsParameters, at_most
from api.problems import BadParameter
from api.quantities import Milliseconds, Time
from api.questions import Aggregation, Questions, now_ms
from api.settings import ApiSettings
from api.status_board import OWN_PREFIX
from api.times import rfc3339
from telemetry.reading import Reading, Sequence, Value
from telemetry.store import Aggregate, Bucket, Resolution, Selection
from telemetry.topics import OWN_SITE

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
    """The readings of start <= time < stop; `truncated` where there are more than the limit.

    `resolution` says whether aggregates were made from the readings, or from minutes or hours.
    """

    start: Time
    stop: Time
    every_ms: Milliseconds | None
    aggregate: Aggregate | None
    resolution: Resolution
    order: Literal["asc", "desc"]
    truncated: bool
    readings: list[ReadingAnswer]


class Range(Struct, frozen=True):
    """A question for readings, worked out and found to be within the limits."""

    selection: Selection
    aggregation: Aggregation | None
    limit: int
    order: Literal["asc", "desc"]


def work_out(
    asked: DeviceReadingsParameters, settings: ApiSettings, *, site: str | None, device: str | None
) -> Range:
    """Return the question that parameters ask now; BadParameter where it is beyond the limits."""
    now = now_ms()
    start_ms, stop_ms = asked.start.at(now), asked.stop.at(now)
    if start_ms >= stop_ms:
        raise BadParameter("start", "start must be before stop.")
    if stop_ms - start_ms > settings.max_range_hours * _HOUR_MS:
        longest = f"{settings.max_range_hours} h"
        raise BadParameter("start", f"start to stop: at most {longest} is allowed.")
    aggregation = _aggregation(asked, start_ms, stop_ms, settings.max_points)
    selection = Selection(
        start_ms=start_ms,
        stop_ms=stop_ms,
        site=site,
        device=device,
        measurement=asked.measurement,
        fields=asked.fields.names if asked.fields else None,
        except_site=_except_site(asked, site, device),
    )
    limit = at_most("limit", asked.limit, settings.max_points)
    return Range(selection, aggregation, limit, asked.order)


def answer_range(questions: Questions, asked: Range) -> ReadingsAnswer:
    """Ask the store for a range, one more than the limit, so as to know whether there are more."""
    found: list[ReadingAnswer]
    resolution: Resolution = "raw"
    if asked.aggregation is None:
        readings = questions.readings(
            asked.selection, limit=asked.limit + 1, descending=asked.order == "desc"
        )
        found = [reading_answer(one) for one in readings]
    else:
        aggregated = questions.aggregate(asked.selection, asked.aggregation, limit=asked.limit + 1)
        found = [_bucket_answer(one) for one in aggregated.buckets]
        resolution = aggregated.resolution
    aggregation = asked.aggregation
    return ReadingsAnswer(
        start=rfc3339(asked.selection.start_ms),
        stop=rfc3339(asked.selection.stop_ms),
        every_ms=aggregation.every_ms if aggregation else None,
        aggregate=aggregation.aggregate if aggregation else None,
        resolution=resolution,
        order=asked.order,
        truncated=len(found) > asked.limit,
        readings=found[: asked.limit],
    )


def latest_answer(readings: list[Reading], limit: int) -> LatestAnswer:
    """Return the latest readings, at most `limit`."""
    shown = [reading_answer(one) for one in readings[:limit]]
    return LatestAnswer(shown, len(readings) > limit)


def reading_answer(one: Reading) -> ReadingAnswer:
    """Return a reading as it is answered."""
    boot = None if one.boot_ms is None else rfc3339(one.boot_ms)
    time = rfc3339(one.time_ms)
    return ReadingAnswer(time, one.site, one.device, one.measurement, one.values, boot, one.seq)


def _bucket_answer(one: Bucket) -> ReadingAnswer:
    time = rfc3339(one.start_ms)
    return ReadingAnswer(time, one.site, one.device, one.measurement, one.values, None, None)


def _aggregation(
    asked: DeviceReadingsParameters, start_ms: int, stop_ms: int, max_points: int
) -> Aggregation | None:
    if asked.every is None:
        if asked.aggregate is not None:
            raise BadParameter("aggregate", "aggregate needs every, the length of an interval.")
        return None
    if asked.order == "desc":
        raise BadParameter("order", "order=desc is not possible together with every.")
    points = (stop_ms - 1) // asked.every.ms - start_ms // asked.every.ms + 1
    if points > max_points:
        words = f"{points} intervals from start to stop: at most {max_points} are allowed."
        raise BadParameter("every", words)
    return Aggregation(asked.every.ms, asked.aggregate or "mean")


def _except_site(asked: DeviceReadingsParameters, *named: str | None) -> str | None:
    """Leave own figures out, unless a question to the fleet names their place or measurement."""
    is_named = any(named) or (asked.measurement or "").startswith(OWN_PREFIX)
    return None if is_named and isinstance(asked, ReadingsParameters) else OWN_SITE
