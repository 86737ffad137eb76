"""`/v1/fleet`: the fleet in one answer."""

from flask import Blueprint, Response

from api import rates
from api.answers import json_response
from api.fleet import FleetAnswer, fleet_answer
from api.openapi.declaration import declares
from api.parameters import NoParameters, parameters
from api.questions import now_ms
from api.room import room

INGEST = "denyut_ingest"

blueprint = Blueprint("fleet", __name__, url_prefix="/v1/fleet")


@blueprint.get("")
@declares("The fleet: totals, rates, freshness, recent history", answers={200: FleetAnswer})
def fleet() -> Response:
    """Answer with totals, rates, freshness and the recent history."""
    parameters(NoParameters)
    return json_response(room().questions.once("fleet", ask=_ask))


def _ask() -> FleetAnswer:
    questions, settings, now = room().questions, room().settings, now_ms()
    # The rise into the first step begins before it.
    since_ms = now - settings.history_ms - rates.LONGEST_RISE_MS
    devices = room().devices()
    return fleet_answer(
        devices,
        questions.figures_since(INGEST, since_ms),
        series=sum(len(device.measurements) for device in devices.values()),
        states_current=room().board.connected,
        now_ms=now,
        history_ms=settings.history_ms,
    )
