"""Waiting before trying again: longer each time, capped, and never all replicas at once."""

import random


class Backoff:
    """Full jitter over a doubling delay, in seconds: from half of it to all of it."""

    def __init__(self, least_seconds: float, most_seconds: float) -> None:
        self._least = least_seconds
        self._most = most_seconds
        self._next = least_seconds

    def next_seconds(self) -> float:
        """Return how long to wait now."""
        delay = self._next
        self._next = min(self._next * 2, self._most)
        return delay * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, hides nothing

    def reset(self) -> None:
        """Begin again, after a success."""
        self._next = self._least
