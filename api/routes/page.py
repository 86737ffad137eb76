"""The pages: the fleet, one device, and delivery by QoS level; what they show they ask of `/v1`."""

import msgspec
from flask import Blueprint, render_template

from api.openapi.declaration import HTML, declares
from api.parameters import Device
from api.problems import UnknownDevice

blueprint = Blueprint("page", __name__)


@blueprint.get("/")
@declares("The page of the fleet", answers={200: {HTML: str}}, scope=None)
def fleet_page() -> str:
    """Show the fleet, live."""
    return render_template("fleet.html")


@blueprint.get("/devices/<device>")
@declares("The page of a device", answers={200: {HTML: str}}, problems=(404,), scope=None)
def device_page(device: str) -> str:
    """Show one device; whether there is such a one is for those to know who may ask `/v1`."""
    try:
        msgspec.convert(device, Device)
    except msgspec.ValidationError as error:
        raise UnknownDevice(device[:64]) from error
    return render_template("device.html")


@blueprint.get("/delivery")
@declares("The page of delivery by QoS level", answers={200: {HTML: str}}, scope=None)
def delivery_page() -> str:
    """Show the QoS levels side by side."""
    return render_template("delivery.html")
