"""Errors over HTTP: every one is `application/problem+json` in one shape (RFC 9457)."""

from http import HTTPStatus

from flask import Flask, Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from telemetry import log
from telemetry.problem import CONTENT_TYPE, problem_body
from telemetry.store import StoreError, StoreThrottled, StoreTooSlow

_RETRY_AFTER_SECONDS = 2

_log = log.get(__name__)


class Problem(Exception):
    """Raised when a request cannot be answered; says what the asker can do about it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str = "",
        parameter: str | None = None,
        challenge: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.name = name
        self.parameter = parameter
        self.challenge = challenge
        self.retry_after_seconds = retry_after_seconds


class BadParameter(Problem):
    """Raised when a parameter is unknown, malformed or beyond what is allowed."""

    kind = "bad-parameter"

    def __init__(self, parameter: str, detail: str) -> None:
        super().__init__(400, detail, name=self.kind, parameter=parameter)


class BadQuestion(BadParameter):
    """Raised when each parameter is well formed, and together they ask what cannot be answered."""

    kind = "bad-question"


class BadBody(Problem):
    """Raised when a request's body is not what its route takes."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, detail, name="bad-body")


class UnknownDevice(Problem):
    """Raised when a device has neither readings nor a status."""

    def __init__(self, device: str) -> None:
        super().__init__(404, f"No device {device!r} is known.", name="unknown-device")


class KeyWanted(Problem):
    """Raised when a request brings no key that is in force; 401 (RFC 6750, 3)."""

    def __init__(self, detail: str, error: str = "") -> None:
        challenge = 'Bearer realm="denyut"' + (f', error="{error}"' if error else "")
        super().__init__(401, detail, name="key-wanted", challenge=challenge)


class NotAllowed(Problem):
    """Raised when a key is in force and not for this; 403 (RFC 6750, 3.1)."""

    def __init__(self, detail: str, scope: str) -> None:
        challenge = f'Bearer realm="denyut", error="insufficient_scope", scope="{scope}"'
        super().__init__(403, detail, name="not-allowed", challenge=challenge)


def problem_response(problem: Problem) -> Response:
    """Return a problem as a response."""
    body = problem_body(
        problem.status, problem.detail, name=problem.name, parameter=problem.parameter
    )
    response = Response(body, problem.status, content_type=CONTENT_TYPE)
    if problem.challenge is not None:
        response.headers["WWW-Authenticate"] = problem.challenge
    if problem.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(max(1, round(problem.retry_after_seconds)))
    return response


def register(app: Flask) -> None:
    """Answer every error that a view may raise, foreseen or not, with a problem."""
    app.register_error_handler(Problem, problem_response)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(StoreError, _store)
    app.register_error_handler(Exception, _unforeseen)


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    response = problem_response(Problem(status, error.description or HTTPStatus(status).phrase))
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
    return response


def _store(error: StoreError) -> Response:
    # The store's own words may hold paths and addresses: they are for the log.
    _log.warning("store does not answer", reason=str(error))
    after = error.retry_after_seconds if isinstance(error, StoreThrottled) else _RETRY_AFTER_SECONDS
    if isinstance(error, StoreTooSlow):
        status, detail, name = 504, "The store took too long to answer.", "store-too-slow"
    else:
        status, detail, name = 503, "The store does not answer now.", "store-unavailable"
    return problem_response(Problem(status, detail, name=name, retry_after_seconds=after))


def _unforeseen(error: Exception) -> Response:
    _log.error("request failed", exc_info=error)
    return problem_response(Problem(500, "The API failed to answer; its log says why."))
