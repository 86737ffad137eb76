"""`/healthz`, `/readyz` and `/metrics`."""

from flask import Blueprint, Response

from api.answers import json_response
from api.figures import SERVICE
from api.room import room
from telemetry import metrics
from telemetry.health import readiness

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """Say that the process lives."""
    return json_response({"status": "ok"})


@blueprint.get("/readyz")
def readyz() -> Response:
    """Say whether the store and the broker answer; 503 where one does not.

    What is wrong with them may hold addresses: it is for those with a key, and for the log.
    """
    ready, words = readiness(room().checks())
    room().readiness_log.note(words)
    if not room().access.is_known():
        words = {name: word if word == "ok" else "not ok" for name, word in words.items()}
    return json_response({"ready": ready, "checks": words}, 200 if ready else 503)


@blueprint.get("/metrics")
def metrics_page() -> Response:
    """Give the API's own figures in Prometheus' text format."""
    body = metrics.exposition(SERVICE, room().samples)
    return Response(body, content_type=metrics.CONTENT_TYPE)
