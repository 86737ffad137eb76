"""In which format readings are wanted: by `format=`, or else by the Accept header (RFC 9110)."""

from typing import Literal

from flask import Request

from api.openapi.declaration import CSV, JSON, NDJSON
from api.problems import Problem

Format = Literal["json", "csv", "ndjson"]

_FORMATS: dict[str, Format] = {JSON: "json", CSV: "csv", NDJSON: "ndjson"}


class NotAcceptable(Problem):
    """Raised when a request accepts none of the formats that there are; 406."""

    def __init__(self) -> None:
        offered = ", ".join(_FORMATS)
        super().__init__(406, f"Readings come as {offered} only.", name="not-acceptable")


class OldProtocol(Problem):
    """Raised when a table is asked for over HTTP/1.0, where it could break off unseen; 505."""

    def __init__(self) -> None:
        super().__init__(
            505, "A table needs HTTP/1.1: only there one that breaks off is told from a whole one."
        )


def wanted_format(request: Request, named: Format | None) -> Format:
    """Return the format of the answer; NotAcceptable where none fits."""
    found = named or _accepted(request)
    if found != "json" and request.environ.get("SERVER_PROTOCOL") in ("HTTP/1.0", "HTTP/0.9"):
        raise OldProtocol
    return found


def _accepted(request: Request) -> Format:
    if "Accept" not in request.headers:
        return "json"
    best = request.accept_mimetypes.best_match(_FORMATS)
    if best is None:
        raise NotAcceptable
    return _FORMATS[best]
