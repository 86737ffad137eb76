"""`/healthz`, `/readyz` and `/metrics`."""

from typing import Literal

from flask import Blueprint, Response
from msgspec import Struct

from api.answers import json_response
from api.figures import SERVICE
from api.openapi.declaration import TEXT, declares
from api.room import room
from telemetry.exposition import CONTENT_TYPE, exposition
from telemetry.health import readiness

blueprint = Blueprint("health", __name__)


class HealthAnswer(Struct, frozen=True):
    """That the process lives."""

    status: Literal["ok"] = "ok"


class ReadinessAnswer(Struct, frozen=True):
    """Whether it can work; `checks` has a word for each dependency: `ok`, or what is wrong."""

    ready: bool
    checks: dict[str, str]


@blueprint.get("/healthz")
@declares("Whether the process lives", answers={200: HealthAnswer}, scope=None)
def healthz() -> Response:
    """Say that the process lives."""
    return json_response(HealthAnswer())


@blueprint.get("/readyz")
@declares(
    "Whether the store and the broker answer",
    answers={200: ReadinessAnswer, 503: ReadinessAnswer},
    scope=None,
)
def readyz() -> Response:
    """Say whether the store and the broker answer; 503 where one does not.

    What is wrong with them may hold addresses: it is for those with a key, and for the log.
    """
    ready, words = readiness(room().checks())
    room().readiness_log.note(words)
    if not room().access.is_known():
        words = {name: word if word == "ok" else "not ok" for name, word in words.items()}
    return json_response(ReadinessAnswer(ready, words), 200 if ready else 503)


@blueprint.get("/metrics")
@declares("The API's own figures, for Prometheus", answers={200: {TEXT: str}}, scope=None)
def metrics_page() -> Response:
    """Give the API's own figures in Prometheus' text format."""
    body = exposition(SERVICE, room().samples)
    return Response(body, content_type=CONTENT_TYPE)
