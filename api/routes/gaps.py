"""`/v1/devices/{device}/gaps`: which of a device's readings are missing."""

from itertools import islice
from typing import Annotated

from flask import Blueprint, Response
from msgspec import Meta, Struct

from api.answers import json_response
from api.losses import Gap, Losses, losses
from api.openapi.declaration import declares
from api.parameters import MOMENT_RULE, Limit, at_most, parameters
from api.problems import BadQuestion
from api.quantities import Count, Time
from api.questions import now_ms
from api.room import room
from api.times import Moment, rfc3339
from telemetry.reading import Sequence

MOST_READINGS = 100_000
"""Of a range with more its gaps are not counted: each reading in it has to be looked at."""
_HOUR_MS = 3_600_000

blueprint = Blueprint("gaps", __name__, url_prefix="/v1/devices/<device>/gaps")


class GapsParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Of which range, and how many of the newest gaps."""

    start: Annotated[Moment, Meta(description=MOMENT_RULE)] = Moment(-_HOUR_MS, relative=True)
    stop: Annotated[Moment, Meta(description=MOMENT_RULE)] = Moment(0, relative=True)
    limit: Limit = 100


class GapAnswer(Struct, frozen=True):
    """Readings `first` to `last` of a boot: none is stored between those of `after` and `before`.

    `after` is null where the boot begins with the gap.
    """

    boot: Time
    first: Sequence
    last: Sequence
    missing: Count
    after: Time | None
    before: Time


class GapsAnswer(Struct, frozen=True):
    """How many readings of start <= time < stop are stored and missing; the newest gaps first.

    What is still on its way counts as missing until it arrives.
    """

    start: Time
    stop: Time
    stored: Count
    missing: Count
    count: Count
    truncated: bool
    gaps: list[GapAnswer]


@blueprint.get("")
@declares(
    "Which of a device's readings are missing",
    parameters=GapsParameters,
    answers={200: GapsAnswer},
    problems=(404,),
)
def gaps(device: str) -> Response:
    """Answer with the gaps in what is stored of a device."""
    asked = parameters(GapsParameters)
    limit = at_most("limit", asked.limit, room().settings.max_points)
    answer = room().questions.once("gaps", device, asked, ask=lambda: _ask(device, asked, limit))
    if not answer.stored:
        # Only now is it worth asking for all devices: is this one silent, or unknown?
        room().device(device)
    return json_response(answer)


def _ask(device: str, asked: GapsParameters, limit: int) -> GapsAnswer:
    now = now_ms()
    start_ms, stop_ms = asked.start.at(now), asked.stop.at(now)
    if start_ms >= stop_ms:
        raise BadQuestion("start", "start must be before stop.")
    longest_hours = room().settings.max_range_hours
    if stop_ms - start_ms > longest_hours * _HOUR_MS:
        raise BadQuestion("start", f"start to stop: at most {longest_hours} h is allowed.")
    found = _losses(device, start_ms, stop_ms)
    return GapsAnswer(
        start=rfc3339(start_ms),
        stop=rfc3339(stop_ms),
        stored=found.stored,
        missing=found.missing,
        count=len(found.gaps),
        truncated=len(found.gaps) > limit,
        gaps=[_answer(gap) for gap in found.gaps[:limit]],
    )


def _losses(device: str, start_ms: int, stop_ms: int) -> Losses:
    found = room().questions.of_sequences(
        lambda sequences: losses(islice(sequences, MOST_READINGS + 1), start_ms),
        device=device,
        start_ms=start_ms,
        stop_ms=stop_ms,
    )
    if found.stored > MOST_READINGS:
        most = f"{MOST_READINGS:,}"
        raise BadQuestion("start", f"More than {most} readings: gaps are counted of fewer.")
    return found


def _answer(gap: Gap) -> GapAnswer:
    return GapAnswer(
        boot=rfc3339(gap.boot_ms),
        first=gap.first,
        last=gap.last,
        missing=gap.missing,
        after=None if gap.after_ms is None else rfc3339(gap.after_ms),
        before=rfc3339(gap.before_ms),
    )
