"""What is no request that Flask could see: answered with a problem, as every other error."""

from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from telemetry import log
from telemetry.problem import CONTENT_TYPE, problem_body

_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (errors.LimitRequestLine, 414, "The request line is too long."),
    (errors.LimitRequestHeaders, 431, "The header fields are too many or too large."),
    (errors.UnsupportedTransferCoding, 501, "The transfer coding is not known."),
    (errors.ExpectationFailed, 417, "The expectation cannot be met."),
    (errors.ParseException, 400, "This is not a valid HTTP request."),
)

_log = log.get(__name__)


class MalformedWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, whose own refusals are problems instead of pages."""

    def handle_error(self, _req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what could not be parsed, or failed outside of the application."""
        status, detail = _found(exc)
        if status == 500:
            _log.error("request failed outside of the application", exc_info=exc)
        else:
            _log.info("malformed request", client=addr[0] if addr else "", reason=str(exc))
        try:
            util.write_nonblock(client, problem_bytes(status, detail))
        except Exception as error:  # noqa: BLE001 - whoever sent it may be gone
            _log.debug("refusal not sent", reason=str(error))


def problem_bytes(status: int, detail: str) -> bytes:
    """Return a whole HTTP answer that holds a problem and ends the connection."""
    phrase = HTTPStatus(status).phrase
    body = problem_body(status, detail)
    head = (
        f"HTTP/1.1 {status} {phrase}\r\nConnection: close\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nX-Content-Type-Options: nosniff\r\n\r\n"
    )
    return head.encode("ascii") + body


def _found(exc: BaseException) -> tuple[int, str]:
    # A bad header of an answer is gunicorn's kind of a bad header, and our own fault.
    if not isinstance(exc, errors.InvalidResponseHeader | errors.InvalidResponseHeaderName):
        for kind, status, detail in _STATUSES:
            if isinstance(exc, kind):
                return status, detail
    return 500, "The API failed to answer; its log says why."
