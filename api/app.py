"""The application factory: nothing is connected or opened here."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from api import problems
from api.access import Access
from api.answers import with_headers
from api.cache import AnswerCache
from api.commands import Commands
from api.cors import Origins
from api.drain import Drain
from api.ends import with_ends
from api.figures import Figures
from api.gaps import GapWatch
from api.gates import Gates
from api.live.streams import Streams
from api.questions import Questions
from api.readiness_log import ReadinessLog
from api.request_ids import HEADER as REQUEST_ID
from api.request_ids import request_id
from api.room import EXTENSION, Room, room
from api.routes import (
    commands,
    delivery,
    devices,
    document,
    fleet,
    gaps,
    health,
    latest,
    measurements,
    page,
    readings,
    sites,
    stream,
)
from api.settings import ApiSettings
from api.status_board import StatusBoard
from api.transfer import compressed, tagged
from telemetry import log
from telemetry.store import Store

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_BLUEPRINTS = (
    devices,
    gaps,
    sites,
    measurements,
    latest,
    readings,
    stream,
    commands,
    fleet,
    delivery,
    health,
    document,
    page,
)
_LARGEST_BODY_BYTES = 65_536


class Api(Flask):
    """Flask with ends (api/ends.py); its own answer to OPTIONS has one order and no body."""

    def wsgi_app(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Answer a request, and do what is to be done when it has ended."""
        return with_ends(super().wsgi_app)(environ, start_response)

    def make_default_options_response(self) -> Response:
        """Answer an OPTIONS that no view takes."""
        allowed = super().make_default_options_response().allow
        response = Response(status=204, headers={"Allow": ", ".join(sorted(allowed))})
        del response.headers["Content-Type"]
        return response


def create_app(settings: ApiSettings, store: Store, board: StatusBoard) -> Flask:
    """Return the API over a store and a board of device states."""
    app = Api("api", static_url_path="/static")
    app.url_map.merge_slashes = False  # a redirect would be the one answer that is no problem+json
    app.config.update(MAX_CONTENT_LENGTH=_LARGEST_BODY_BYTES, SEND_FILE_MAX_AGE_DEFAULT=0)
    app.extensions[EXTENSION] = _room(settings, store, board)
    for module in _BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    problems.register(app)
    app.before_request(_start)
    app.before_request(_check)
    app.after_request(_finish)
    app.teardown_request(_forget)
    return app


def _room(settings: ApiSettings, store: Store, board: StatusBoard) -> Room:
    figures = Figures()
    cache = AnswerCache(
        keep_seconds=settings.cache_ms / 1_000,
        max_answers=settings.max_cached_answers,
        wait_seconds=settings.store_timeout_seconds,
    )
    gates = Gates(
        figures,
        places=settings.threads,
        queue=settings.max_waiting,
        wait_seconds=settings.store_timeout_seconds,
        tables=settings.max_tables,
    )
    questions = Questions(store, cache, figures, gates)
    drain = Drain()
    streams = Streams(settings, questions, board, drain)
    return Room(
        settings=settings,
        questions=questions,
        board=board,
        figures=figures,
        cache=cache,
        access=Access(settings, figures),
        origins=Origins(settings.cors_origins),
        drain=drain,
        readiness_log=ReadinessLog(),
        gaps=GapWatch(board, settings.gaps_interval_seconds),
        streams=streams,
        commands=Commands(settings, lambda: board.connected, streams.figures),
    )


def _start() -> None:
    g.started = time.perf_counter()
    g.request_id = request_id(request.headers.get(REQUEST_ID))
    log.bind(request_id=g.request_id)


def _check() -> None:
    if request.url_rule is not None and room().origins.is_preflight(request):
        return  # a browser asks without a key whether it may ask with one
    room().access.check()
    if (request.content_length or 0) > _LARGEST_BODY_BYTES:
        raise RequestEntityTooLarge


def _finish(response: Response) -> Response:
    response = compressed(tagged(response, request), request)
    response = room().origins.with_headers(response, request)
    response.headers[REQUEST_ID] = g.request_id
    route = request.blueprint or ("static" if request.endpoint == "static" else "none")
    room().figures.count_request(route, response.status_code, time.perf_counter() - g.started)
    return with_headers(response)


def _forget(_error: BaseException | None) -> None:
    log.unbind("request_id")
