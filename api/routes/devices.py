"""`/v1/devices`: which devices there are, and one of them."""

from flask import Blueprint, Response
from msgspec import Struct

from api.answers import json_response
from api.cursors import with_link
from api.openapi.declaration import declares
from api.pages import page_of
from api.parameters import DevicesParameters, NoParameters, parameters
from api.quantities import Count
from api.questions import now_ms
from api.room import room
from api.roster import Device, DeviceAnswer, device_answer

blueprint = Blueprint("devices", __name__, url_prefix="/v1/devices")


class DevicesAnswer(Struct, frozen=True):
    """The devices asked for, by name; `count` is of all, `next` the path to the rest."""

    devices: list[DeviceAnswer]
    count: Count
    truncated: bool
    next: str | None


@blueprint.get("")
@declares("The devices, by name", parameters=DevicesParameters, answers={200: DevicesAnswer})
def devices() -> Response:
    """Answer with the devices of a site, in a state, with names that begin so."""
    asked = parameters(DevicesParameters)
    page = page_of(lambda: _found(asked), lambda device: device.device, asked)
    rates, now = room().questions.rates(), now_ms()
    answers = [device_answer(one, now, rates.get(one.device, 0.0)) for one in page.items]
    answer = DevicesAnswer(answers, page.count, page.next is not None, page.next)
    return with_link(json_response(answer), page.next)


@blueprint.get("/<device>")
@declares("One device", answers={200: DeviceAnswer}, problems=(404,))
def device(device: str) -> Response:
    """Answer with one device."""
    parameters(NoParameters)
    found = room().device(device)
    rate = room().questions.rates().get(device, 0.0)
    return json_response(device_answer(found, now_ms(), rate))


def _found(asked: DevicesParameters) -> list[Device]:
    return [device for device in room().devices().values() if _is_asked(device, asked)]


def _is_asked(device: Device, asked: DevicesParameters) -> bool:
    return (
        asked.site in (None, device.site)
        and asked.state in (None, device.state)
        and (asked.prefix is None or device.device.startswith(asked.prefix))
    )
