"""`/v1/readings` and `/v1/devices/{device}/readings`: a range of readings."""

from flask import Blueprint, Response, request
from msgspec.structs import replace

from api.answers import json_response
from api.cursors import next_path, with_link
from api.openapi.declaration import declares
from api.parameters import (
    DeviceReadingsParameters,
    ReadingsParameters,
    parameters,
)
from api.readings import ReadingsAnswer, ReadingsPage, answer_range, work_out
from api.room import room

blueprint = Blueprint("readings", __name__, url_prefix="/v1")


@blueprint.get("/readings")
@declares("Readings of the fleet", parameters=ReadingsParameters, answers={200: ReadingsAnswer})
def readings() -> Response:
    """Answer with readings of the fleet, or of one site or device of it."""
    asked = parameters(ReadingsParameters)
    return _response(_ask(asked, asked.site, asked.device))


@blueprint.get("/devices/<device>/readings")
@declares(
    "Readings of one device",
    parameters=DeviceReadingsParameters,
    answers={200: ReadingsAnswer},
    problems=(404,),
)
def device_readings(device: str) -> Response:
    """Answer with readings of one device."""
    asked = parameters(DeviceReadingsParameters)
    page = _ask(asked, None, device)
    if not page.answer.readings:
        # Only now is it worth asking for all devices: is this one silent, or unknown?
        room().device(device)
    return _response(page)


def _response(page: ReadingsPage) -> Response:
    if page.cursor is None:
        return json_response(page.answer)
    path = next_path(request, page.cursor)
    return with_link(json_response(replace(page.answer, next=path)), path)


def _ask(asked: DeviceReadingsParameters, site: str | None, device: str | None) -> ReadingsPage:
    questions = room().questions
    question = work_out(asked, room().settings, site=site, device=device)
    # The parameters as they were given are the key: a relative range moves with every request.
    return questions.once(
        "readings", site, device, asked, ask=lambda: answer_range(questions, question)
    )
