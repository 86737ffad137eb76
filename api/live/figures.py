"""What the live side counts, for /metrics and the API's own figures."""

import threading
from collections import Counter
from collections.abc import Iterator

from telemetry.metrics import Sample

_COUNTED = {
    "streams_opened": "Streams begun.",
    "streams_refused": "Streams refused, as there are too many.",
    "streams_dropped": "Streams ended, as their readers were too slow.",
    "heard_messages": "Messages with readings heard from the broker for streams.",
    "unreadable_messages": "Of these, those that could not be read.",
    "heard_readings": "Readings heard for streams.",
    "broker_dropped_messages": "Messages the broker dropped, for whomever, while it was heard.",
    "feed_losses": "Times at which readings were not heard any more while somebody listened.",
    "catch_up_looks": "Looks into the store for readings that a stream may have missed.",
    "catch_up_readings": "Readings found by them.",
    "catch_up_failures": "Looks that the store failed.",
    "stream_gaps": "Ranges that a stream was told to ask for itself.",
    "commands_sent": "Commands sent to devices.",
    "command_timeouts": "Commands that no device answered in time.",
    "late_answers": "Answers that nobody waited for any more.",
}


class LiveFigures:
    """Counts by name; safe to share between threads."""

    def __init__(self) -> None:
        self.open_streams = 0
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, name: str, more: int = 1) -> None:
        """Count something more, named as in the figures."""
        assert name in _COUNTED
        with self._lock:
            self._counts[name] += more

    def counted(self, name: str) -> int:
        """Return a count so far."""
        return self._counts[name]

    def samples(self) -> Iterator[Sample]:
        """Yield everything counted so far."""
        yield Sample("open_streams", self.open_streams, "Streams open now.", kind="gauge")
        for name, about in _COUNTED.items():
            yield Sample(name, self._counts[name], about)
