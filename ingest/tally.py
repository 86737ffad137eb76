"""What ingest counts, in readings, and the law that the counts keep.

received + taken over = written + quarantined + spooled + in flight + dropped: repeats count on both
sides, and a message that cannot be decoded counts as one reading.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct, field

from ingest.sources import WAYS, WayName, counts
from ingest.sources.counts import SocketCounts
from ingest.sources.folder.shared_folder import PASSED_OVER, PassedOver
from ingest.sources.http import counts as http_counts
from ingest.sources.http.counts import HttpCounts
from telemetry.latency import KINDS, PERCENTILES, Kind, Latencies
from telemetry.metrics import Sample

DropReason = Literal["stopped"]
DROP_REASONS: tuple[DropReason, ...] = ("stopped",)
_LEVELS: tuple[Kind, ...] = ("0", "1", "2")


def _by_qos() -> list[int]:
    return [0, 0, 0]


class Tally(Struct):
    """Plain integers, counted on the event loop's thread only, so that a scrape sees one moment."""

    received: list[int] = field(default_factory=_by_qos)
    written: list[int] = field(default_factory=_by_qos)
    quarantined: int = 0
    in_flight: int = 0
    dropped: dict[DropReason, int] = field(default_factory=lambda: dict.fromkeys(DROP_REASONS, 0))
    taken_over: int = 0
    spooled: int = 0
    spool_bytes: int = 0
    spool_budget_bytes: int = 0
    quarantine_bytes: int = 0
    quarantine_budget_bytes: int = 0
    replayed: int = 0
    repeated: list[int] = field(default_factory=_by_qos)
    overwritten: int = 0
    left_out_values: int = 0
    messages: int = 0
    messages_by_way: dict[WayName, int] = field(default_factory=lambda: dict.fromkeys(WAYS, 0))
    oldest_written_ms: int | None = None
    batches: int = 0
    write_seconds: float = 0.0
    write_retries: int = 0
    store_refusals: int = 0
    connects: int = 0
    link_timeouts: int = 0
    session_takeovers: int = 0
    sessions_lost: int = 0
    orphans: int = 0
    broker_dropped: int = 0
    broker_queued: int = 0
    broker_clients: int = 0
    acknowledged_messages: int = 0
    duplicate_messages: int = 0
    quarantine_evicted: int = 0
    folder_files: int = 0
    folder_waiting_files: int = 0
    folder_orphan_files: int = 0
    folder_passed_over: dict[PassedOver, int] = field(
        default_factory=lambda: dict.fromkeys(PASSED_OVER, 0)
    )
    sockets: SocketCounts = field(default_factory=SocketCounts)
    http: HttpCounts = field(default_factory=HttpCounts)

    def note_written(self, times_ms: Iterable[int]) -> None:
        """Note how far back the readings that the store has confirmed reach."""
        oldest_ms = min(times_ms, default=None)
        if oldest_ms is not None and (
            self.oldest_written_ms is None or oldest_ms < self.oldest_written_ms
        ):
            self.oldest_written_ms = oldest_ms

    @property
    def balance(self) -> int:
        """Zero, always: what came in less where it is."""
        incoming = sum(self.received) + self.taken_over
        kept = sum(self.written) + self.quarantined + self.spooled + self.in_flight
        return incoming - kept - sum(self.dropped.values())


def samples(tally: Tally, latencies: Latencies) -> Iterator[Sample]:
    """Yield ingest's figures."""
    for qos in range(3):
        labels = {"qos": str(qos)}
        received, written = tally.received[qos], tally.written[qos]
        yield Sample("received_readings", received, "Readings received.", labels)
        yield Sample("written_readings", written, "Readings the store confirmed.", labels)
        yield Sample("repeated_readings", tally.repeated[qos], "Readings delivered again.", labels)
    for way in WAYS:
        about = "Messages received, by the way in."
        yield Sample("way_messages", tally.messages_by_way[way], about, {"way": way})
    for reason in DROP_REASONS:
        dropped = tally.dropped[reason]
        yield Sample("dropped_readings", dropped, "QoS 0 readings dropped.", {"reason": reason})
    yield from _counters(tally)
    yield from _gauges(tally)
    yield from _session_counters(tally)
    yield from _folder_samples(tally)
    yield from counts.samples(tally.sockets)
    yield from http_counts.samples(tally.http)
    yield from _latency_samples(latencies)


def _counters(tally: Tally) -> Iterator[Sample]:
    yield Sample("quarantined_readings", tally.quarantined, "Readings put into quarantine.")
    yield Sample("taken_over_readings", tally.taken_over, "Readings found in the spool.")
    yield Sample("replayed_readings", tally.replayed, "Readings stored out of the spool.")
    yield Sample(
        "overwritten_readings", tally.overwritten, "Readings of a batch at one series and time."
    )
    yield Sample("left_out_values", tally.left_out_values, "Nulls and arrays left out.")
    yield Sample("messages", tally.messages, "Messages received.")
    yield Sample("acknowledged_messages", tally.acknowledged_messages, "Acknowledgements sent.")
    yield Sample("batches", tally.batches, "Batches the store confirmed.")
    yield Sample("write_seconds", tally.write_seconds, "Time spent in the store's writes.")
    yield Sample("write_retries", tally.write_retries, "Writes that had to be repeated.")
    yield Sample("store_refusals", tally.store_refusals, "Writes refused for want of rights.")
    yield Sample(
        "quarantine_evicted_files", tally.quarantine_evicted, "Quarantine files that had to go."
    )


def _gauges(tally: Tally) -> Iterator[Sample]:
    for name, value, about in (
        ("in_flight_readings", tally.in_flight, "Readings held in memory."),
        ("spooled_readings", tally.spooled, "Readings in the spool."),
        ("spool_bytes", tally.spool_bytes, "Size of the spool on the disk."),
        ("spool_budget_bytes", tally.spool_budget_bytes, "What the spool may grow to."),
        ("quarantine_bytes", tally.quarantine_bytes, "Size of the quarantine on the disk."),
        ("quarantine_budget_bytes", tally.quarantine_budget_bytes, "What it may grow to."),
        ("broker_queued_messages", tally.broker_queued, "Messages that the broker holds."),
        ("broker_clients", tally.broker_clients, "Clients with a connection to the broker."),
        ("orphan_members", tally.orphans, "Members of the group that are away and did not leave."),
    ):
        yield Sample(name, value, about, kind="gauge")
    if tally.oldest_written_ms is not None:
        about = "Own time of the oldest reading stored since the last own figures."
        yield Sample("oldest_written_ms", tally.oldest_written_ms, about, kind="gauge")


def _session_counters(tally: Tally) -> Iterator[Sample]:
    yield Sample("connects", tally.connects, "Connections that the broker accepted.")
    yield Sample("link_timeouts", tally.link_timeouts, "Connections given up for their silence.")
    yield Sample("session_takeovers", tally.session_takeovers, "Times another took our client id.")
    yield Sample("sessions_lost", tally.sessions_lost, "Times the broker had lost our session.")
    yield Sample("broker_dropped_messages", tally.broker_dropped, "Messages the broker dropped.")
    yield Sample(
        "duplicate_messages", tally.duplicate_messages, "QoS 2 messages sent again, passed over."
    )


def _folder_samples(tally: Tally) -> Iterator[Sample]:
    yield Sample("folder_files", tally.folder_files, "Shared files stored, and removed.")
    about = "Shared files that waited when the folder was last looked at."
    yield Sample("folder_waiting_files", tally.folder_waiting_files, about, kind="gauge")
    about = "Shared files claimed by ingests that are away."
    yield Sample("folder_orphan_files", tally.folder_orphan_files, about, kind="gauge")
    for why, files in tally.folder_passed_over.items():
        about = "What stood in the shared folder then and is not taken, by reason."
        yield Sample("folder_passed_over_files", files, about, {"reason": why}, "gauge")


def _latency_samples(latencies: Latencies) -> Iterator[Sample]:
    text = "Latency from a reading's time to the store's confirmation, in ms."
    for qos in _LEVELS:
        over = latencies.over_objective[qos]
        about = "Readings whose latency was over the objective."
        yield Sample("slow_readings", over, about, {"qos": qos})
    for kind in KINDS:
        summary = latencies.summary(kind)
        for percentile in PERCENTILES:
            value = getattr(summary, f"p{percentile}")
            if value is not None:
                labels = {"qos": kind, "quantile": f"p{percentile}"}
                yield Sample("latency_ms", value, text, labels, "gauge")
