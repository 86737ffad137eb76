"""Lines about many alike: each kind at most every few seconds, with how often it was."""

import time

from telemetry.log import Logger

INTERVAL_SECONDS = 10.0


class RareLog:
    """Holds back the repeats of a line; the next one that passes says how many there were."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._next_at: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def warning(self, event: str, **facts: object) -> None:
        """Log what costs no reading."""
        if self._passes(event):
            self._log.warning(event, **facts, **self._repeats(event))

    def error(self, event: str, **facts: object) -> None:
        """Log what costs readings, or needs a person."""
        if self._passes(event):
            self._log.error(event, **facts, **self._repeats(event))

    def _passes(self, event: str) -> bool:
        now = time.monotonic()
        if now < self._next_at.get(event, 0.0):
            self._held_back[event] = self._held_back.get(event, 0) + 1
            return False
        self._next_at[event] = now + INTERVAL_SECONDS
        return True

    def _repeats(self, event: str) -> dict[str, int]:
        held_back = self._held_back.pop(event, 0)
        return {"more_since_last_line": held_back} if held_back else {}
