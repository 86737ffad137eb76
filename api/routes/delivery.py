"""`/v1/delivery`: what was offered, acknowledged, stored and is missing, by QoS level."""

from flask import Blueprint, Response

from api.answers import json_response
from api.delivery import DeliveryAnswer, by_level, held, ingest_totals
from api.openapi.declaration import declares
from api.parameters import NoParameters, parameters
from api.questions import now_ms
from api.room import room
from api.times import rfc3339

INGEST, SENSORS = "denyut_ingest", "denyut_sensors"

blueprint = Blueprint("delivery", __name__, url_prefix="/v1/delivery")


@blueprint.get("")
@declares("The delivery report, by QoS level", answers={200: DeliveryAnswer})
def delivery() -> Response:
    """Answer with the delivery report."""
    parameters(NoParameters)
    return json_response(room().questions.once("delivery", ask=_ask))


def _ask() -> DeliveryAnswer:
    questions = room().questions
    ingest = questions.latest_figures(INGEST)
    counted = room().gaps.counted(questions.sequence_counts)
    return DeliveryAnswer(
        rfc3339(now_ms()),
        rfc3339(counted.time_ms),
        by_level(
            counted.by_level, room().devices().values(), questions.latest_figures(SENSORS), ingest
        ),
        ingest_totals(ingest),
        held(ingest),
    )
