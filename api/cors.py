"""Which pages of other origins may ask (the Fetch standard's CORS): those that a setting names."""

import re

from flask import Request, Response
from werkzeug.datastructures import HeaderSet

from api.request_ids import HEADER as REQUEST_ID
from telemetry.settings import SettingError

_ORIGIN = re.compile(
    r"https?://(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?", re.ASCII
)
_ANY = "*"
_KEEP_PREFLIGHT_SECONDS = 600
_MAY_BE_SENT = (
    "Accept",
    "Authorization",
    "Content-Type",
    "If-None-Match",
    "Last-Event-ID",
    "X-API-Key",
    REQUEST_ID,
)
_MAY_BE_READ = ("ETag", "Link", "Retry-After", REQUEST_ID)


class Origins:
    """The origins that may ask from a browser; none of them may send cookies, as there are none.

    Raises SettingError where a part of the list is no origin.
    """

    def __init__(self, listed: str) -> None:
        self._listed = frozenset(filter(None, (one.strip() for one in listed.split(","))))
        for one in sorted(self._listed - {_ANY}):
            if not _ORIGIN.fullmatch(one):
                raise SettingError(
                    f"API_CORS_ORIGINS={one!r}: origins as https://example.org, separated by "
                    "commas, or * are allowed"
                )

    def allows(self, request: Request) -> bool:
        """Whether a request comes from a page that may ask."""
        origin = request.headers.get("Origin")
        return origin is not None and (_ANY in self._listed or origin in self._listed)

    def is_preflight(self, request: Request) -> bool:
        """Whether a browser asks, for such a page, if it may ask; it brings no key then."""
        return (
            request.method == "OPTIONS"
            and "Access-Control-Request-Method" in request.headers
            and self.allows(request)
        )

    def with_headers(self, response: Response, request: Request) -> Response:
        """Tell the browser who may read the answer."""
        if not self._listed:
            return response
        if _ANY not in self._listed:
            response.vary.add("Origin")
        if not self.allows(request):
            return response
        response.access_control_allow_origin = (
            _ANY if _ANY in self._listed else request.headers["Origin"]
        )
        if self.is_preflight(request):
            response.access_control_allow_methods = HeaderSet(sorted(response.allow))
            response.access_control_allow_headers = HeaderSet(_MAY_BE_SENT)
            response.access_control_max_age = _KEEP_PREFLIGHT_SECONDS
        else:
            response.access_control_expose_headers = HeaderSet(_MAY_BE_READ)
        return response
