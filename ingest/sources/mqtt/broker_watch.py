"""What the broker tells of itself: above all its count of dropped messages.

Mosquitto drops what does not fit into a client's queue, although its publisher has the
acknowledgement; the only trace is `$SYS/broker/publish/messages/dropped`. What it holds for all
sessions together is what it has stored less what is retained.
"""

from ingest.tally import Tally
from telemetry import log

DROPPED_TOPIC = "$SYS/broker/publish/messages/dropped"
STORED_TOPIC = "$SYS/broker/store/messages/count"
RETAINED_TOPIC = "$SYS/broker/retained messages/count"
CLIENTS_TOPIC = "$SYS/broker/clients/connected"
BROKER_TOPICS = (DROPPED_TOPIC, STORED_TOPIC, RETAINED_TOPIC, CLIENTS_TOPIC)
_logger = log.get(__name__)


class BrokerWatch:
    """Follows the broker's counters over connections and over its restarts."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._last: int | None = None
        self._held = {STORED_TOPIC: 0, RETAINED_TOPIC: 0}

    def take(self, topic: str, payload: bytes) -> None:
        """Take one of `BROKER_TOPICS`; what is no number is passed over."""
        if not payload.isdigit() or len(payload) > 20:
            return
        value = int(payload)
        if topic == DROPPED_TOPIC:
            self._take_dropped(value)
        elif topic == CLIENTS_TOPIC:
            self._tally.broker_clients = value
        else:
            self._held[topic] = value
            queued = self._held[STORED_TOPIC] - self._held[RETAINED_TOPIC]
            self._tally.broker_queued = max(0, queued)

    def _take_dropped(self, value: int) -> None:
        # The first value tells of a past that is not ours; a smaller one of a broker begun anew.
        before = value if self._last is None else self._last if value >= self._last else 0
        self._last = value
        if value > before:
            self._tally.broker_dropped += value - before
            _logger.error("the broker has dropped messages", messages=value - before)
