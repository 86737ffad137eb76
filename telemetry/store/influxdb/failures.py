"""What InfluxDB's answers mean: stored, partly stored, later, or only after a person has looked.

Source: https://docs.influxdata.com/influxdb/v2/write-data/troubleshoot/ and InfluxDB 2.9.1 itself.
400 means that nothing of the batch is stored, 422 that all but the refused lines are.
"""

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from telemetry.store import StoreError, StoreMisconfigured, StoreThrottled, StoreUnavailable

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


def verdict(status: int, message: str, headers: Mapping[str, str]) -> Verdict:
    """Return what a write's answer says of its batch; StoreError where it speaks of the store."""
    match status:
        case 200 | 204:
            return STORED
        case 400:
            return Verdict("nothing stored", message)
        case 413:
            return Verdict("too large", message)
        case 422:
            dropped = _DROPPED.search(message)
            return Verdict("rest stored", message, int(dropped[1]) if dropped else None)
        case _:
            raise store_error(status, message, headers)


def store_error(status: int, message: str, headers: Mapping[str, str]) -> StoreError:
    """Return the error that an answer means when it speaks of the store and not of the data."""
    text = f"{status}: {message}"
    pause = _retry_after_seconds(headers)
    if status == 429 or (status == 503 and pause is not None):
        return StoreThrottled(text, _BUSY_PAUSE_SECONDS if pause is None else pause)
    if status == 408 or status >= 500:
        return StoreUnavailable(text)
    return StoreMisconfigured(text)


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
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
