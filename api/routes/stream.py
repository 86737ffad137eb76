"""`/v1/stream`: live readings and states as server-sent events."""

import re
import socket

from flask import Blueprint, Response, request
from msgspec import Struct

from api.access import given_key
from api.live.events import Kinds, Wanted
from api.openapi.declaration import EVENTS, declares
from api.parameters import Device, LastEventId, Measurement, Prefix, Site, parameters
from api.problems import BadParameter
from api.room import room

_HEADER = "Last-Event-ID"
_ID = re.compile(r"[0-9]{1,15}", re.ASCII)

blueprint = Blueprint("stream", __name__, url_prefix="/v1/stream")


class StreamParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """What to hear of; `last_event_id` is for those who cannot send the header of that name."""

    site: Site | None = None
    device: Device | None = None
    prefix: Prefix | None = None
    measurement: Measurement | None = None
    kinds: Kinds = "all"
    last_event_id: LastEventId | None = None


@blueprint.get("")
@declares(
    "Live readings and states, as server-sent events",
    parameters=StreamParameters,
    answers={200: {EVENTS: str}},
)
def stream() -> Response:
    """Stream what is heard, and after a reconnect what was missed."""
    asked = parameters(StreamParameters)
    wanted = Wanted(asked.site, asked.device, asked.prefix, asked.measurement, asked.kinds)
    since_ms = _since_ms(asked.last_event_id)
    if request.method == "HEAD":
        return _response(b"")
    key, access = given_key(request), room().access
    found = room().streams.open(wanted, since_ms, lambda: access.admits(key, asked.device))
    _bound_sending()
    return _response(found)


def _response(body: object) -> Response:
    response = Response(body, content_type=EVENTS)  # type: ignore[arg-type]
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold events back
    return response


def _since_ms(parameter: str | None) -> int | None:
    """Return where to go on from: what the browser tells is newer than what stood in the URL."""
    header = request.headers.get(_HEADER)
    if header and _ID.fullmatch(header) is None:
        raise BadParameter(_HEADER, f"{_HEADER}={header[:64]!r}: allowed is the id of an event.")
    found = header or parameter
    return int(found) if found else None


def _bound_sending() -> None:
    """Let nobody who reads nothing hold a thread for ever."""
    connection = request.environ.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        connection.settimeout(room().settings.stream_send_seconds)
