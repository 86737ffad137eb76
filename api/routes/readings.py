"""`/v1/readings` and `/v1/devices/{device}/readings`: a range of readings."""

from collections.abc import Iterable
from contextlib import ExitStack
from itertools import chain

from flask import Blueprint, Response, request
from msgspec.structs import replace
from werkzeug.wsgi import ClosingIterator

from api.answers import json_response
from api.cursors import next_path, with_link
from api.ends import on_end
from api.formats import Format, wanted_format
from api.openapi.declaration import CSV, JSON, NDJSON, declares
from api.parameters import (
    DeviceReadingsParameters,
    ReadingsParameters,
    parameters,
)
from api.readings import (
    Range,
    ReadingAnswer,
    ReadingsAnswer,
    ReadingsPage,
    answer_range,
    work_out,
)
from api.room import room
from api.tables import PARTS, Parts, table_of

blueprint = Blueprint("readings", __name__, url_prefix="/v1")

_ANSWERS = {200: {JSON: ReadingsAnswer, CSV: str, NDJSON: ReadingAnswer}}
_CONTENT_TYPES = {"csv": f"{CSV}; charset=utf-8; header=present", "ndjson": NDJSON}
# For one part of a table: who takes longer has gone away, or holds the place for nothing.
_STALLED_SECONDS = 60


@blueprint.get("/readings")
@declares(
    "Readings of the fleet",
    parameters=ReadingsParameters,
    answers=_ANSWERS,
    problems=(406, 505),
)
def readings() -> Response:
    """Answer with readings of the fleet, or of one site or device of it."""
    asked = parameters(ReadingsParameters)
    question = work_out(asked, room().settings, site=asked.site, device=asked.device)
    wanted = wanted_format(request, asked.format)
    if wanted != "json":
        return _table(question, wanted, asked.limit)
    return _response(_ask(asked, question))


@blueprint.get("/devices/<device>/readings")
@declares(
    "Readings of one device",
    parameters=DeviceReadingsParameters,
    answers=_ANSWERS,
    problems=(404, 406, 505),
)
def device_readings(device: str) -> Response:
    """Answer with readings of one device."""
    asked = parameters(DeviceReadingsParameters)
    question = work_out(asked, room().settings, site=None, device=device)
    wanted = wanted_format(request, asked.format)
    if wanted != "json":
        room().device(device)
        return _table(question, wanted, asked.limit)
    page = _ask(asked, question)
    if not page.answer.readings:
        # Only now is it worth asking for all devices: is this one silent, or unknown?
        room().device(device)
    return _response(page)


def _response(page: ReadingsPage) -> Response:
    if page.cursor is None:
        response = json_response(page.answer)
    else:
        path = next_path(request, page.cursor)
        response = with_link(json_response(replace(page.answer, next=path)), path)
    response.vary.add("Accept")
    return response


def _ask(asked: DeviceReadingsParameters, question: Range) -> ReadingsPage:
    questions, selection = room().questions, question.selection
    # The parameters as they were given are the key: a relative range moves with every request.
    return questions.once(
        "readings",
        selection.site,
        selection.device,
        asked,
        ask=lambda: answer_range(questions, question),
    )


def _table(question: Range, wanted: Format, limit: int | None) -> Response:
    held = ExitStack()
    on_end(request.environ, held.close)
    held.enter_context(room().questions.table_place())
    parts = PARTS[wanted](table_of(room().questions, question, limit))
    # With the first part, so that a store that does not answer is an answer of its own.
    response = Response(_begun(parts), content_type=_CONTENT_TYPES[wanted])
    response.headers["Content-Disposition"] = f'attachment; filename="readings.{wanted}"'
    response.vary.add("Accept")
    if (connection := request.environ.get("gunicorn.socket")) is not None:
        connection.settimeout(_STALLED_SECONDS)
    return response


def _begun(parts: Parts) -> Iterable[bytes]:
    first = next(parts, b"")
    return ClosingIterator(chain((first,), parts), parts.close)
