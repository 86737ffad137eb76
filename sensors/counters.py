"""What a process of devices counts, in plain integers, and the samples made of them."""

from collections.abc import Iterator
from typing import Literal, get_args

from sensors.fleetfile import QOS_LEVELS
from sensors.ways.failures import FailureReason
from telemetry.metrics import Sample

DropReason = Literal["not_connected", "congested", "outbox_full", "fault"]

LATE_MS = 10
"""A reading handed over later than this after it was due counts as late."""

_LONGEST_MS = 10_000


class Lateness:
    """How long after its time something came, in whole milliseconds: a reading, or an answer."""

    def __init__(self) -> None:
        self._counts = [0] * (_LONGEST_MS + 1)
        self.readings = 0
        self.late_readings = 0
        self.most_ms = 0.0

    def record(self, lateness_ms: float) -> None:
        """Count one reading."""
        self.readings += 1
        if lateness_ms > LATE_MS:
            self.late_readings += 1
        if lateness_ms > self.most_ms:
            self.most_ms = lateness_ms
        whole = int(lateness_ms)
        self._counts[whole if whole < _LONGEST_MS else _LONGEST_MS] += 1

    def later_than(self, milliseconds: float) -> int:
        """Return how many were later than that; exact for a whole number up to ten seconds."""
        if milliseconds == LATE_MS:
            return self.late_readings
        return sum(self._counts[min(int(milliseconds), _LONGEST_MS) :])

    def percentile_ms(self, percent: float, since: "Lateness | None" = None) -> int:
        """Return the lateness that `percent` of the readings did not exceed, rounded up.

        With an earlier `copy`, of those since then.
        """
        counts, readings = self._counts, self.readings
        if since is not None:
            counts = [now - before for now, before in zip(counts, since._counts, strict=True)]
            readings -= since.readings
        if not readings:
            return 0
        wanted, seen = readings * percent / 100, 0
        for whole, count in enumerate(counts):
            seen += count
            if seen >= wanted and seen:
                return whole + 1
        return _LONGEST_MS

    def copy(self) -> "Lateness":
        """Return what was counted so far."""
        copied = Lateness()
        copied._counts = self._counts.copy()
        copied.readings, copied.late_readings = self.readings, self.late_readings
        copied.most_ms = self.most_ms
        return copied


class Counters:
    """All counts of one process; those by level are indexed by QoS."""

    def __init__(self) -> None:
        self.offered = [0, 0, 0]
        self.published = [0, 0, 0]
        self.copies = [0, 0, 0]
        self.acknowledged = [0, 0, 0]
        self.refused = [0, 0, 0]
        self.republished = [0, 0, 0]
        self.dropped: dict[DropReason, list[int]] = {
            reason: [0, 0, 0] for reason in get_args(DropReason)
        }
        self.taken_over = [0, 0, 0]
        self.unreadable = 0
        self.disk_failures = 0
        self.kept = 0
        self.connects = 0
        self.connect_failures: dict[FailureReason, int] = dict.fromkeys(get_args(FailureReason), 0)
        self.lost_connections = 0
        self.commands = 0
        self.ignored_commands = 0
        self.reboots = 0
        self.strikes: dict[str, int] = {}
        self.connected = 0
        self.lateness = Lateness()
        self.acknowledgements = {qos: Lateness() for qos in QOS_LEVELS[1:]}

    def samples(self) -> Iterator[Sample]:
        """Yield the counts as samples."""
        yield from _by_qos("offered_readings", self.offered, "Readings that devices made.")
        yield from _by_qos(
            "published_readings", self.published, "Readings sent for the first time."
        )
        yield from _by_qos(
            "acknowledged_readings",
            self.acknowledged[1:],
            "Readings the other side answers for.",
            1,
        )
        yield from _by_qos("refused_readings", self.refused, "Readings refused for good.")
        yield from _by_qos(
            "republished_readings", self.republished[1:], "Readings sent once more.", 1
        )
        yield from _by_qos("copied_readings", self.copies, "Readings that a fault sent twice.")
        for reason, counts in self.dropped.items():
            yield Sample("dropped_readings", sum(counts), "Readings given up.", {"reason": reason})
        yield Sample(
            "kept_readings", self.kept, "Answers that nobody takes it now: kept for later."
        )
        yield from self._disk_samples()
        yield from self._connection_samples()
        yield from self._lateness_samples()

    def _disk_samples(self) -> Iterator[Sample]:
        yield from _by_qos(
            "taken_over_readings", self.taken_over[1:], "Readings of an earlier process.", 1
        )
        yield Sample("unreadable_readings", self.unreadable, "Readings damaged on disk.")
        yield Sample("outbox_disk_failures", self.disk_failures, "What the disk refused.")

    def _connection_samples(self) -> Iterator[Sample]:
        yield Sample("connects", self.connects, "Connections made.")
        for reason, count in self.connect_failures.items():
            yield Sample("connect_failures", count, "Connections refused.", {"reason": reason})
        yield Sample("lost_connections", self.lost_connections, "Connections that broke.")
        yield Sample("commands", self.commands, "Commands carried out or answered with an error.")
        yield Sample(
            "ignored_commands", self.ignored_commands, "Commands without a place for the answer."
        )
        for fault, count in self.strikes.items():
            yield Sample("faults", count, "Faults that struck a device.", {"fault": fault})
        yield Sample("reboots", self.reboots, "Devices that booted once more.")
        yield Sample(
            "connected_devices", self.connected, "Devices with a connection.", kind="gauge"
        )

    def _lateness_samples(self) -> Iterator[Sample]:
        for qos, waits in self.acknowledgements.items():
            yield Sample(
                "acknowledgement_p99_milliseconds",
                waits.percentile_ms(99),
                "What 99 % of the waits for an acknowledgement do not exceed.",
                {"qos": str(qos)},
                kind="gauge",
            )
        yield Sample(
            "late_readings",
            self.lateness.late_readings,
            f"Readings handed over more than {LATE_MS} ms after they were due.",
        )
        yield Sample(
            "lateness_p99_milliseconds",
            self.lateness.percentile_ms(99),
            "What 99 % of the readings' lateness does not exceed.",
            kind="gauge",
        )


def _by_qos(name: str, counts: list[int], help: str, first: int = 0) -> Iterator[Sample]:
    for qos, count in zip(QOS_LEVELS[first:], counts, strict=True):
        yield Sample(name, count, help, {"qos": str(qos)})
