"""The process's own figures, published like any reading, so that they add up over processes."""

import asyncio
import time

from sensors.message import Message
from sensors.uplink import Uplink
from telemetry.metrics import Samples, as_values
from telemetry.payload.native import encode_native
from telemetry.reading import Address, Reading
from telemetry.topics import READINGS, TopicTemplate

SITE = "denyut"
MEASUREMENT = "denyut_sensors"

_MS_PER_SECOND = 1000


class OwnFigures:
    """Publishes the samples of /metrics at intervals, like a device does."""

    def __init__(self, client_id: str, samples: Samples, uplink: Uplink) -> None:
        self._client_id = client_id
        self._samples = samples
        address = Address(SITE, client_id, MEASUREMENT)
        self._topic = TopicTemplate.parse(READINGS).topic(address).encode()
        self._published = 0
        self.uplink = uplink

    async def keep_publishing(self, interval_ms: int) -> None:
        """Publish the figures at each interval, until cancelled."""
        while True:
            await asyncio.sleep(interval_ms / _MS_PER_SECOND)
            self.publish()

    def publish(self) -> None:
        """Publish the figures as they are now, without boot and seq: no audit covers them."""
        now_ms = time.time_ns() // 1_000_000
        values = as_values(self._samples())
        payload = encode_native(Reading(SITE, self._client_id, MEASUREMENT, now_ms, values))
        message = Message(
            self._published, now_ms, now_ms, MEASUREMENT, self._topic, payload, 0, self._published
        )
        self._published += 1
        self.uplink.publish(message)
