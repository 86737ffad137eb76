"""Errors over HTTP: the one shape of all services, `application/problem+json` (RFC 9457)."""

from http import HTTPStatus

import msgspec
from msgspec import UNSET, Struct, UnsetType

CONTENT_TYPE = "application/problem+json"


class ProblemDetails(Struct, frozen=True):
    """The body of every error; `parameter` names the one that was refused."""

    type: str
    title: str
    status: int
    detail: str
    parameter: str | UnsetType = UNSET


def problem_body(
    status: int, detail: str, *, name: str = "", parameter: str | None = None
) -> bytes:
    """Return the body of an error; a `name` tells it from others of its status."""
    details = ProblemDetails(
        f"urn:denyut:problem:{name}" if name else "about:blank",
        HTTPStatus(status).phrase,
        status,
        detail,
        UNSET if parameter is None else parameter,
    )
    return msgspec.json.encode(details)
