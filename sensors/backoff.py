"""How long to wait before the next try to connect."""

from random import Random

FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 10.0
STEADY_SECONDS = 5.0
"""A connection that lasted as long was none that failed."""

_chance = Random()  # noqa: S311  spreads reconnects, not secret


def wait_seconds(failures: int) -> float:
    """Return how long to wait before the next try: doubling, capped, and spread by chance."""
    longest = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(failures, 16))
    return _chance.uniform(longest / 2, longest)


class Backoff:
    """Counts failures, and knows when a fault wants another wait instead."""

    __slots__ = ("_away_seconds", "_failures")

    def __init__(self) -> None:
        self._failures = 0
        self._away_seconds: float | None = None

    def failed(self) -> None:
        """Note that no connection came about."""
        self._failures += 1

    def lost(self, lasted_seconds: float) -> None:
        """Note that there was one for so long."""
        self._failures = 0 if lasted_seconds >= STEADY_SECONDS else self._failures + 1

    def stay_away(self, seconds: float) -> None:
        """Let the next wait be so long, without a spread."""
        self._away_seconds = seconds

    def next_wait_seconds(self) -> float:
        """Return how long to wait now."""
        away_seconds, self._away_seconds = self._away_seconds, None
        return wait_seconds(self._failures) if away_seconds is None else away_seconds
