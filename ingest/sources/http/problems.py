"""What is wrong with a request, and how that is answered."""

from collections.abc import Mapping

from aiohttp import web

from telemetry.problem import CONTENT_TYPE, problem_body

SIGNED = {"Server": "denyut"}
"""A header that every answer has: which versions are behind it is nobody's business."""

_SOON_SECONDS = 1


class Problem(Exception):
    """Raised when a request is not taken; says what its sender can do about it.

    With `is_last` the connection ends: what else the sender has on the way is not read.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        name: str = "",
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
        is_last: bool = False,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.name = name
        self.parameter = parameter
        self.headers = dict(headers or {})
        self.is_last = is_last

    def response(self) -> web.Response:
        """Return the answer."""
        body = problem_body(self.status, self.detail, name=self.name, parameter=self.parameter)
        headers = {**SIGNED, **self.headers, "Content-Type": CONTENT_TYPE}
        response = web.Response(status=self.status, body=body, headers=headers)
        if self.is_last:
            response.force_close()
        return response


def key_wanted(detail: str, error: str = "") -> Problem:
    """Return the answer to who brings no key that is known; 401 (RFC 6750, 3)."""
    challenge = 'Bearer realm="denyut"' + (f', error="{error}"' if error else "")
    headers = {"WWW-Authenticate": challenge}
    return Problem(401, detail, name="key-wanted", headers=headers, is_last=True)


def not_allowed(detail: str) -> Problem:
    """Return the answer to who has a key, and not for this; 403 (RFC 6750, 3.1)."""
    challenge = 'Bearer realm="denyut", error="insufficient_scope", scope="write"'
    headers = {"WWW-Authenticate": challenge}
    return Problem(403, detail, name="not-allowed", headers=headers, is_last=True)


def too_large(detail: str) -> Problem:
    """Return the answer to a body that is not read to its end; 413."""
    return Problem(413, detail, name="too-large", is_last=True)


def too_many(detail: str) -> Problem:
    """Return the answer to a request beyond what is handled at once; 429."""
    headers = {"Retry-After": str(_SOON_SECONDS)}
    return Problem(429, detail, name="too-many-requests", headers=headers)


def not_durable(detail: str, *, is_last: bool = False) -> Problem:
    """Return the answer where nothing is promised: all of it has to be sent again; 503."""
    headers = {"Retry-After": str(_SOON_SECONDS)}
    return Problem(503, detail, name="not-durable", headers=headers, is_last=is_last)
