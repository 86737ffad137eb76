"""`/v1/devices`: which devices there are, and one of them."""

from flask import Blueprint, Response
from msgspec import Struct

from api.answers import json_response
from api.openapi.declaration import declares
from api.parameters import DevicesParameters, NoParameters, at_most, parameters
from api.quantities import Count
from api.questions import now_ms
from api.room import room
from api.roster import Device, DeviceAnswer, device_answer

blueprint = Blueprint("devices", __name__, url_prefix="/v1/devices")


class DevicesAnswer(Struct, frozen=True):
    """The devices asked for, by name; `count` is how many there are, `truncated` if not all."""

    devices: list[DeviceAnswer]
    count: Count
    truncated: bool


@blueprint.get("")
@declares("The devices, by name", parameters=DevicesParameters, answers={200: DevicesAnswer})
def devices() -> Response:
    """Answer with the devices of a site, in a state, with names that begin so."""
    asked = parameters(DevicesParameters)
    limit = at_most("limit", asked.limit, room().settings.max_points)
    found = [device for device in room().devices().values() if _is_asked(device, asked)]
    now = now_ms()
    shown = [device_answer(device, now) for device in found[:limit]]
    return json_response(DevicesAnswer(shown, len(found), len(found) > limit))


@blueprint.get("/<device>")
@declares("One device", answers={200: DeviceAnswer}, problems=(404,))
def device(device: str) -> Response:
    """Answer with one device."""
    parameters(NoParameters)
    return json_response(device_answer(room().device(device), now_ms()))


def _is_asked(device: Device, asked: DevicesParameters) -> bool:
    return (
        asked.site in (None, device.site)
        and asked.state in (None, device.state)
        and (asked.prefix is None or device.device.startswith(asked.prefix))
    )
