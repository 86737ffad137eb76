"""Beside a steady fleet, a device that sends what is no good: what the rows on data share."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from stack.faults import packets
from stack.faults.raw_device import RawDevice
from stack.faults.rig import Rig
from stack.waiting import holds_within
from telemetry.reading import Value
from telemetry.store import Selection

LINE_PROTOCOL = "text/vnd.influxdb.line-protocol"
_FOREVER_MS = 9_000_000_000_000  # in 2255: InfluxDB's times end in 2262
_STORED_WITHIN_SECONDS = 20.0
_GO_ON_SECONDS = 4.0
_STALL_SHARE = 0.5  # of the rate, below which a second counts as a stall
_NO_SETTINGS: Mapping[str, str] = {}


class OddDevice(RawDevice):
    """A raw device at QoS 1 whose bad messages stand in no ledger: they must not be stored."""

    def __init__(self, rig: Rig, name: str = "odd-1") -> None:
        super().__init__(rig.local, rig.broker, name)

    def send_refused(
        self, measurement: str, payload: bytes, content_type: str | None = None
    ) -> None:
        """Send a payload that is to end in quarantine; the broker takes it like any other."""
        self.send_refused_to(self.topic(measurement), payload, content_type)

    def send_refused_to(self, topic: str, payload: bytes, content_type: str | None = None) -> None:
        """Send it to a topic of its own choice."""
        reason = self.client.publish(topic, payload, self.qos, content_type=content_type)
        if reason != packets.SUCCESS:
            raise ConnectionRefusedError(f"the broker answers {topic} with {reason:#x}")

    def send_many(
        self, measurement: str, payloads: Sequence[bytes], content_type: str | None = None
    ) -> None:
        """Send many payloads quickly; the offered readings among them count as acknowledged."""
        topic = self.topic(measurement)
        messages = ((topic, payload) for payload in payloads)
        refused = self.client.publish_all(messages, self.qos, content_type)
        if refused:
            raise ConnectionRefusedError(f"the broker refuses {refused} messages")
        self.acknowledge_offered()

    def stored(self, rig: Rig, measurement: str) -> list[dict[str, Value]]:
        """Return the values of what is stored of one measurement, in order of time."""
        asked = Selection(
            start_ms=0, stop_ms=_FOREVER_MS, device=self.name, measurement=measurement
        )
        with rig.store() as store:
            return [reading.values for reading in store.readings(asked, limit=100_000)]

    def await_stored(self, rig: Rig, count: int) -> int:
        """Wait until so many readings of the device are stored; return how many are."""
        found = 0

        def enough() -> bool:
            nonlocal found
            with rig.store() as store:
                counts = [one for one in store.sequence_counts() if one.device == self.name]
            found = sum(one.count for one in counts)
            return found >= count

        holds_within(enough, _STORED_WITHIN_SECONDS, 0.2)
        return found


@contextmanager
def beside_a_fleet(rig: Rig, settings: Mapping[str, str] = _NO_SETTINGS) -> Iterator[OddDevice]:
    """Start ingest and the fleet; yield an odd device once readings are on their way."""
    rig.start_ingest(settings)
    rig.start_fleet()
    with OddDevice(rig) as odd:
        rig.await_unacknowledged()
        yield odd


def await_quarantined(rig: Rig, count: int, reason: str, *, now: int | None = None) -> None:
    """Prove that so many readings went to quarantine, the last of them for a reason.

    `now` is what the running ingest has counted, where it is not the first one.
    """
    counted = 0.0

    def enough() -> bool:
        nonlocal counted
        counted = rig.figures()["quarantined_readings"]
        return counted >= (now or count)

    holds_within(enough, _STORED_WITHIN_SECONDS, 0.1)
    rig.trial.fault(counted == (now or count), f"{counted:,.0f} readings are in quarantine")
    last = rig.quarantine_records()[-1:]
    word = last[0].reason if last else "nothing is there"
    rig.trial.must(reason in word, f"the reason is given: {word[:80]}")


def must_go_on(rig: Rig, what: str) -> None:
    """Note whether the fleet's readings are stored at their rate for some seconds from now."""
    since = time.monotonic()
    rig.pass_time(_GO_ON_SECONDS, what)
    rates = rig.watch.rates("written_readings", since, time.monotonic(), window_seconds=0.9)
    slowest = min(rates, default=0.0)
    rig.trial.must(
        slowest >= _STALL_SHARE * rig.rate,
        f"{what}: the others at {slowest:,.0f} readings/s in the slowest second",
    )
