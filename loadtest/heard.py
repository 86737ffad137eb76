"""What one connection to the live stream has told: its events, and the id to go on from."""

from datetime import datetime, timedelta

from telemetry.client.answers import Reading
from telemetry.client.events import End, EventReader, Gap

_MILLISECOND = timedelta(milliseconds=1)


class Heard:
    """Reads a stream's bytes, however these are cut."""

    def __init__(self, last_id: str | None, opened: datetime) -> None:
        """Go on from an id; `opened` (UTC) is when the stream was asked for."""
        self.last_id = last_id
        self.bytes = self.events = 0
        self.why = ""
        """Why it is no good any more: it was ended, or has left something out."""
        self._opened = opened
        self._reader = EventReader(last_id)

    @property
    def retry_seconds(self) -> float | None:
        """How long to be away before coming again, where the API has said it."""
        return self._reader.retry_seconds

    def read(self, part: bytes, now: datetime) -> list[float]:
        """Take in a part, and return the ages (ms) of its readings; NotUnderstood for no events.

        Those that were made before the stream was opened are what it has caught up with: how old
        they are says nothing of the API.
        """
        ages_ms = []
        self.bytes += len(part)
        for told in self._reader.read(part):
            self.last_id = told.last_id
            event = told.event
            if event is None:
                continue
            self.events += 1
            if isinstance(event, Reading):
                if event.time >= self._opened:
                    ages_ms.append(max(0.0, (now - event.time) / _MILLISECOND))
            elif isinstance(event, End):
                self.why = f"the API ended it: {event.reason}"
            elif isinstance(event, Gap):
                self.why = f"the API left readings out: {event.reason}"
        return ages_ms
