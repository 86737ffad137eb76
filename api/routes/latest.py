"""`/v1/latest` and `/v1/devices/{device}/latest`: the latest reading of each series."""

from flask import Blueprint, Response

from api.answers import json_response
from api.openapi.declaration import declares
from api.parameters import LatestParameters, NoParameters, at_most, parameters
from api.readings import LatestAnswer, latest_answer
from api.room import room

blueprint = Blueprint("latest", __name__, url_prefix="/v1")


@blueprint.get("/latest")
@declares(
    "The latest reading of each series", parameters=LatestParameters, answers={200: LatestAnswer}
)
def latest() -> Response:
    """Answer with the latest readings of the fleet, or of one site of it."""
    asked = parameters(LatestParameters)
    limit = at_most("limit", asked.limit, room().settings.max_points)
    return json_response(latest_answer(room().questions.latest(site=asked.site), limit))


@blueprint.get("/devices/<device>/latest")
@declares(
    "The latest reading of each of a device's measurements",
    answers={200: LatestAnswer},
    problems=(404,),
)
def device_latest(device: str) -> Response:
    """Answer with the latest reading of each of a device's measurements."""
    parameters(NoParameters)
    readings = room().questions.latest(device=device)
    if not readings:
        # Only now is it worth asking for all devices: is this one silent, or unknown?
        room().device(device)
    return json_response(latest_answer(readings, room().settings.max_points))
