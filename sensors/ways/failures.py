"""What can go wrong between a device and the other side of its way.

WayFailure
├── ConnectFailed: no connection came about
├── ConnectionLost: what was sent has no answer, and will have none
├── NotNow: the other side takes nothing for now
└── Refused: the other side never takes one of what was sent
"""

import ssl
from typing import Literal

from telemetry import tls

FailureReason = Literal["unreachable", "refused", "timeout", "untrusted"]


class WayFailure(Exception):
    """The root of them; the text is one line for a person."""


class ConnectFailed(WayFailure):
    """Raised when no connection came about; `reason` is one of a small fixed set.

    `refused` and `untrusted` need a person.
    """

    def __init__(self, reason: FailureReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class ConnectionLost(WayFailure):
    """Raised when what was sent will have no answer; it is sent again on a new connection."""


class NotNow(WayFailure):
    """Raised when the other side takes nothing for now; after so long, or as it gets on."""

    def __init__(self, detail: str, after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.after_seconds = after_seconds


class Refused(WayFailure):
    """Raised when one payload of a batch is never taken; the others are sent again."""

    def __init__(self, detail: str, payload: int) -> None:
        super().__init__(detail)
        self.payload = payload


def no_connection(error: OSError) -> ConnectFailed:
    """Return why a connection did not come about, out of what the system says."""
    if isinstance(error, ssl.SSLError):
        return ConnectFailed(tls.verdict(error), tls.in_words(error))
    reason: FailureReason = "unreachable"
    if isinstance(error, TimeoutError):
        reason = "timeout"
    elif isinstance(error, PermissionError):
        reason = "refused"
    return ConnectFailed(reason, error.strerror or str(error))
