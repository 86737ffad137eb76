"""Answers as JSON, and the headers that every response carries."""

import msgspec
from flask import Response

_encode = msgspec.json.Encoder().encode

SECURITY_HEADERS = {
    # The page has no inline script or style, and loads nothing from elsewhere.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def json_response(answer: object, status: int = 200) -> Response:
    """Return an answer as JSON, its fields in the order of their declaration."""
    return Response(_encode(answer), status, content_type="application/json")


def with_headers(response: Response) -> Response:
    """Add the security headers; an answer is of its moment, so that nobody keeps it unasked."""
    response.headers.extend(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
    return response
