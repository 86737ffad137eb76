"""`/v1/devices/{device}/commands`: what a device can be told, and telling it."""

from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta, Struct

from api.answers import json_response
from api.commands import DeviceOffline
from api.openapi.declaration import declares
from api.parameters import NoParameters, parameters
from api.problems import BadBody, Problem
from api.room import room
from telemetry.worked_out import worked_out

MOST_BODY_BYTES = 4_096
_JSON_TYPE = "application/json"

CommandName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z",
        description="1 to 64 of a-z 0-9 - and not beginning with a mark",
    ),
]
PeriodMs = Annotated[int, Meta(ge=100, le=3_600_000)]
ForMs = Annotated[int, Meta(ge=1, le=86_400_000)]
FaultName = Annotated[str, Meta(min_length=1, max_length=64)]

blueprint = Blueprint("commands", __name__, url_prefix="/v1/devices/<device>/commands")


@worked_out
class SetPeriod(Struct, frozen=True, forbid_unknown_fields=True):
    """Publish each measurement so often."""

    period_ms: PeriodMs


@worked_out
class SetFault(Struct, frozen=True, forbid_unknown_fields=True):
    """Behave as if something were broken, for some time; no fault ends it."""

    fault: FaultName | None
    for_ms: ForMs | None = None


@worked_out
class Reboot(Struct, frozen=True, forbid_unknown_fields=True):
    """Start again."""


KNOWN: dict[str, type[Struct]] = {"set-period": SetPeriod, "set-fault": SetFault, "reboot": Reboot}
"""The commands that simulated devices answer; others are passed on as they are."""


class KnownCommand(Struct, frozen=True):
    """A command, what it does, and the JSON Schema of its body."""

    name: str
    summary: str
    body: dict[str, Any]


class CommandsAnswer(Struct, frozen=True):
    """The commands that simulated devices know; others may know more."""

    commands: list[KnownCommand]


class CommandAnswer(Struct, frozen=True):
    """What a device has answered, but for its `ok`."""

    device: str
    name: str
    ok: bool
    answer: dict[str, Any]


@blueprint.get("")
@declares("The commands that devices know", answers={200: CommandsAnswer}, problems=(404,))
def commands(device: str) -> Response:
    """Answer with the commands of simulated devices."""
    parameters(NoParameters)
    room().device(device)
    return json_response(CommandsAnswer([_known(name, body) for name, body in KNOWN.items()]))


@blueprint.post("/<name>")
@declares(
    "Tell a device to do something, and wait for its answer",
    path={"name": CommandName},
    body=dict[str, Any],
    answers={200: CommandAnswer},
    problems=(404, 409, 422, 502),
    scope="command",
)
def command(device: str, name: str) -> Response:
    """Send a command over MQTT and answer with what the device answers."""
    parameters(NoParameters)
    name, site = _checked_name(name), _site(device)
    body = _checked_body(name)
    answer = room().commands.send(site, device, name, body)
    return json_response(CommandAnswer(device, name, True, answer))


def _site(device: str) -> str:
    """Return where a device is, if it is online."""
    status = room().board.get(device)
    if status is None:
        room().device(device)  # one that never told its state is not known to listen
        raise DeviceOffline(device)
    if status.state != "online":
        raise DeviceOffline(device)
    return status.site


def _checked_name(name: str) -> str:
    try:
        return msgspec.convert(name, CommandName)
    except msgspec.ValidationError as error:
        raise Problem(404, f"{name[:64]!r} is not the name of a command.") from error


def _checked_body(name: str) -> bytes:
    """Return the body as it is sent on; what is known of a command is checked here."""
    if request.mimetype != _JSON_TYPE:
        raise Problem(415, f"The body must be {_JSON_TYPE}.")
    if (request.content_length or 0) > MOST_BODY_BYTES:
        raise Problem(413, f"A body has at most {MOST_BODY_BYTES} bytes.")
    body = request.get_data(cache=False)
    if len(body) > MOST_BODY_BYTES:
        raise Problem(413, f"A body has at most {MOST_BODY_BYTES} bytes.")
    try:
        given = msgspec.json.decode(body, type=KNOWN.get(name, dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadBody(str(error)) from error
    return msgspec.json.encode(given)


def _known(name: str, body: type[Struct]) -> KnownCommand:
    schema = msgspec.json.schema(body)
    parts = schema.get("$defs", {}).get(body.__name__, schema)
    summary = (body.__doc__ or "").partition("\n")[0]
    return KnownCommand(name, summary, parts)
