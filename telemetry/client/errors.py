"""What can go wrong between a program and the API.

ClientError
├── Unreachable        no answer came: no connection, no trust, or not in time
├── NotUnderstood      an answer came that is none of this API's
└── Problem            the API refuses, and says why (RFC 9457)
    ├── BadRequest         400  `parameter` names what is wrong
    ├── KeyWanted          401
    ├── NotAllowed         403
    ├── NotFound           404
    ├── DeviceOffline      409
    ├── DeviceRefused      422
    ├── TooManyRequests    429
    ├── Unavailable        503
    └── TooSlow            504
"""

from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import HTTPMessage
from time import time

import msgspec
from msgspec import Struct

from telemetry.worked_out import worked_out

_MOST_SHOWN = 500


class ClientError(Exception):
    """Raised when a question has no answer; the base of all that this package raises by itself."""


class Unreachable(ClientError):
    """Raised when no answer came: no connection, no trust, or not in time."""


class NotUnderstood(ClientError):
    """Raised when an answer is none of this API's."""


class Problem(ClientError):
    """Raised when the API refuses; `request_id` finds the request in its log."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        type: str = "about:blank",
        parameter: str | None = None,
        request_id: str | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail
        self.type = type
        self.parameter = parameter
        self.request_id = request_id
        self.retry_after_seconds = retry_after_seconds


class BadRequest(Problem):
    """Raised when a parameter or a body is unknown, malformed or beyond what is allowed."""


class KeyWanted(Problem):
    """Raised when there is no key, or one that is not in force."""


class NotAllowed(Problem):
    """Raised when the key is for something else."""


class NotFound(Problem):
    """Raised when there is no such device or route."""


class DeviceOffline(Problem):
    """Raised when a device cannot be told anything now."""


class DeviceRefused(Problem):
    """Raised when a device does not do as it was told, and says why."""


class TooManyRequests(Problem):
    """Raised when the API has too much to do, or this key has."""


class Unavailable(Problem):
    """Raised when the API cannot answer now: its store or its broker is away, or it stops."""


class TooSlow(Problem):
    """Raised when the store, or the device that was told something, did not answer in time."""


_BY_STATUS: dict[int, type[Problem]] = {
    400: BadRequest,
    401: KeyWanted,
    403: NotAllowed,
    404: NotFound,
    409: DeviceOffline,
    422: DeviceRefused,
    429: TooManyRequests,
    503: Unavailable,
    504: TooSlow,
}


@worked_out
class _Details(Struct):
    """The body of a problem, as far as it is read."""

    type: str = "about:blank"
    detail: str = ""
    parameter: str | None = None


def problem_of(status: int, headers: HTTPMessage, body: bytes) -> Problem:
    """Return what an answer with a status beyond 299 means; its body may be of any kind."""
    try:
        details = msgspec.json.decode(body, type=_Details)
    except (msgspec.DecodeError, UnicodeDecodeError):
        details = _Details()  # what stands in front of the API answers in its own words
    return _BY_STATUS.get(status, Problem)(
        status,
        details.detail[:_MOST_SHOWN] or _phrase(status),
        type=details.type,
        parameter=details.parameter,
        request_id=headers.get("X-Request-ID"),
        retry_after_seconds=_retry_after_seconds(headers.get("Retry-After")),
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an answer of an unknown kind"


def _retry_after_seconds(text: str | None) -> float | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds, or a date."""
    if text is None:
        return None
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time())
    except ValueError:
        return None
