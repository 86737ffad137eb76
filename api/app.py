"""The application factory: nothing is connected or opened here."""

import time

from flask import Flask, Response, g, request

from api import problems
from api.access import Access
from api.answers import with_headers
from api.cache import AnswerCache
from api.drain import Drain
from api.figures import Figures
from api.gaps import GapWatch
from api.questions import Questions
from api.readiness_log import ReadinessLog
from api.room import EXTENSION, Room, room
from api.routes import delivery, devices, document, fleet, health, latest, page, readings
from api.settings import ApiSettings
from api.status_board import StatusBoard
from telemetry.store import Store

_BLUEPRINTS = (devices, latest, readings, fleet, delivery, health, document, page)
_LARGEST_BODY_BYTES = 65_536


def create_app(settings: ApiSettings, store: Store, board: StatusBoard) -> Flask:
    """Return the API over a store and a board of device states."""
    app = Flask("api", static_url_path="/static")
    app.url_map.merge_slashes = False  # a redirect would be the one answer that is no problem+json
    app.config.update(MAX_CONTENT_LENGTH=_LARGEST_BODY_BYTES, SEND_FILE_MAX_AGE_DEFAULT=0)
    app.extensions[EXTENSION] = _room(settings, store, board)
    for module in _BLUEPRINTS:
        app.register_blueprint(module.blueprint)
    problems.register(app)
    app.before_request(_start)
    app.before_request(_check_access)
    app.after_request(_finish)
    return app


def _room(settings: ApiSettings, store: Store, board: StatusBoard) -> Room:
    figures = Figures()
    cache = AnswerCache(
        keep_seconds=settings.cache_ms / 1_000,
        max_answers=settings.max_cached_answers,
        wait_seconds=settings.store_timeout_seconds,
    )
    questions, access = Questions(store, cache, figures), Access(settings, figures)
    gaps = GapWatch(store, board, settings.gaps_interval_seconds)
    return Room(settings, questions, board, figures, cache, access, Drain(), ReadinessLog(), gaps)


def _start() -> None:
    g.started = time.perf_counter()


def _check_access() -> None:
    room().access.check()


def _finish(response: Response) -> Response:
    route = request.blueprint or ("static" if request.endpoint == "static" else "none")
    room().figures.count_request(route, response.status_code, time.perf_counter() - g.started)
    return with_headers(response)
