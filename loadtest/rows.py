"""The rows of Locust's tables: who does what is in them, and how our own users fill them."""

import time

from locust.env import Environment

from loadtest.objectives import Users

MQTT, END_TO_END, EVENTS = "MQTT", "END", "SSE"

# By request type, which is the method where Locust's own client asks.
USERS: dict[str, Users] = {
    "GET": "readers",
    MQTT: "publishers",
    END_TO_END: "freshness",
    EVENTS: "streams",
}


class Failed(Exception):
    """What Locust shows of a failed operation."""


def fire(
    environment: Environment,
    kind: str,
    name: str,
    elapsed_ms: float | None,
    size: int = 0,
    why: str | None = None,
) -> None:
    """Report an operation, failed where it says why; without a time it is counted alone."""
    environment.events.request.fire(
        request_type=kind,
        name=name,
        response_time=elapsed_ms,
        response_length=size,
        exception=Failed(why) if why else None,
        context={},
    )


def ms_since(began_s: float) -> float:
    """Return how long it is since a moment of `time.perf_counter`."""
    return (time.perf_counter() - began_s) * 1_000
