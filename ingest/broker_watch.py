"""The broker's own counter of dropped messages, which nothing else tells of.

Mosquitto drops what does not fit into a client's queue, although its publisher has the
acknowledgement; the only trace is `$SYS/broker/publish/messages/dropped`.
"""

from ingest.tally import Tally
from telemetry import log

DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
_logger = log.get(__name__)


class BrokerWatch:
    """Follows the counter over connections and over restarts of the broker."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._last: int | None = None

    def take(self, payload: bytes) -> None:
        """Take the counter's value; what is no number is passed over."""
        if not payload.isdigit() or len(payload) > 20:
            return
        value = int(payload)
        # The first value tells of a past that is not ours; a smaller one of a broker begun anew.
        before = value if self._last is None else self._last if value >= self._last else 0
        self._last = value
        if value > before:
            self._tally.broker_dropped += value - before
            _logger.error("the broker has dropped messages", messages=value - before)
