"""What InfluxDB's answers mean: stored, partly stored, later, or only after a person has looked.

Source: https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/ and InfluxDB 2.9.1 itself.
400 means that nothing of the batch is stored, 422 that all but the refused lines are. Both count
only in InfluxDB's own words, `{"code": …, "message": …}`: a TLS port that is asked without TLS says
400 as well, and a page of some other server says 200 to everything. Neither speaks of the readings.
"""

import email.utils
import re
import time
from typing import Literal

import msgspec
from msgspec import Struct

from telemetry.store import StoreError, StoreMisconfigured, StoreThrottled, StoreUnavailable
from telemetry.store.influxdb.exchange import Headers

_LONGEST_PAUSE_SECONDS = 300.0
_BUSY_PAUSE_SECONDS = 1.0
_DROPPED = re.compile(r"dropped=(\d+)")

Outcome = Literal["stored", "nothing stored", "rest stored", "too large"]


class Verdict(Struct, frozen=True):
    """What became of a batch; `dropped`: how many lines a "rest stored" left out, if it said."""

    outcome: Outcome
    message: str = ""
    dropped: int | None = None


STORED = Verdict("stored")


class _Problem(Struct, frozen=True):
    """An error in InfluxDB's own words."""

    code: str
    message: str


_decode_problem = msgspec.json.Decoder(_Problem).decode

_TOKEN_REFUSED = {401: "the token is not known", 403: "the token lacks the permission"}
_SHOWN_CHARACTERS = 200


def verdict(status: int, body: bytes, headers: Headers) -> Verdict:
    """Return what a write's answer says of its batch; StoreError where it speaks of the store."""
    problem = _problem(body)
    match status:
        case 204:
            return STORED
        case 400 if problem:
            return Verdict("nothing stored", problem.message)
        case 413:
            return Verdict("too large", _message(body))
        case 422 if problem:
            dropped = _DROPPED.search(problem.message)
            return Verdict("rest stored", problem.message, int(dropped[1]) if dropped else None)
        case _:
            raise store_error(status, body, headers)


def store_error(status: int, body: bytes, headers: Headers) -> StoreError:
    """Return the error that an answer means when it speaks of the store and not of the data."""
    text = f"{status}: {_message(body)}"
    pause = _retry_after_seconds(headers)
    if status == 429 or (status == 503 and pause is not None):
        return StoreThrottled(text, _BUSY_PAUSE_SECONDS if pause is None else pause)
    if is_transient(status):
        return StoreUnavailable(text)
    if status in _TOKEN_REFUSED:
        text = f"{_TOKEN_REFUSED[status]} ({text})"
    return StoreMisconfigured(text)


def is_transient(status: int) -> bool:
    """Whether the same request may be answered otherwise later, without anybody's doing."""
    return status in (408, 429) or status >= 500


def _message(body: bytes) -> str:
    problem = _problem(body)
    if problem is not None:
        return problem.message
    return body[:_SHOWN_CHARACTERS].decode("utf-8", "replace").strip() or "no word on why"


def _problem(body: bytes) -> _Problem | None:
    try:
        return _decode_problem(body)
    except msgspec.DecodeError:
        return None


def _retry_after_seconds(headers: Headers) -> float | None:
    """Read Retry-After, which holds seconds or a date (RFC 9110, 10.2.3)."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isdecimal():
        return min(float(text), _LONGEST_PAUSE_SECONDS)
    try:
        until = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None
    return min(max(until - time.time(), 0.0), _LONGEST_PAUSE_SECONDS)
