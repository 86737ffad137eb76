"""The delivery report: what was offered, acknowledged, stored and is missing, by QoS level."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from api.quantities import Count, Time
from api.roster import Device
from api.status_board import DeviceStatus
from telemetry.reading import Reading
from telemetry.store import SequenceCount

Level = Literal["0", "1", "2"]
LEVELS: tuple[Level, ...] = ("0", "1", "2")
UNKNOWN = "unknown"


class Latency(Struct, frozen=True):
    """From a reading's own time to the store's confirmation, in ms; None where none was measured.

    Of several replicas it is the slowest one's.
    """

    p50: float | None
    p95: float | None
    p99: float | None


class LevelDelivery(Struct, frozen=True):
    """One QoS level, in readings; None is not known.

    `missing` counts gaps in the sequence numbers of what is stored: what is still on its way
    counts as missing until it arrives, what was lost after a boot's last stored reading does not.
    """

    devices: Count
    offered: Count | None
    acknowledged: Count | None
    stored: Count
    missing: Count
    latency_ms: Latency


class IngestTotals(Struct, frozen=True):
    """What ingest counts, in readings, over all replicas and since the last start of each.

    received + taken_over = written + quarantined + spooled + in_flight + dropped.
    """

    replicas: Count
    received: Count
    taken_over: Count
    written: Count
    quarantined: Count
    spooled: Count
    in_flight: Count
    dropped: Count
    repeated: Count


class Held(Struct, frozen=True):
    """What is held outside the store, of what may be, over all replicas; None is not known.

    `broker_messages` is what the broker holds for all sessions together.
    """

    spool_bytes: Count | None
    spool_budget_bytes: Count | None
    quarantine_bytes: Count | None
    quarantine_budget_bytes: Count | None
    broker_messages: Count | None


class DeliveryAnswer(Struct, frozen=True):
    """The delivery report; readings of devices that told no level stand under `unknown`.

    `counted` is when stored and missing readings were counted: in a large store some time ago.
    """

    time: Time
    counted: Time
    by_qos: dict[str, LevelDelivery]
    ingest: IngestTotals
    held: Held


class Stored(Struct):
    """How many readings of a level are stored, and how many are missing between them."""

    count: int = 0
    missing: int = 0


def stored_by_level(
    counts: Iterable[SequenceCount], statuses: Mapping[str, DeviceStatus]
) -> dict[str, Stored]:
    """Add up the sequence counts of all boots by the level at which their devices publish."""
    found = {level: Stored() for level in (*LEVELS, UNKNOWN)}
    for one in counts:
        level = found[_level(statuses.get(one.device))]
        level.count += one.count
        level.missing += max(0, one.max_seq + 1 - one.count)
    return found


def by_level(
    stored: Mapping[str, Stored],
    devices: Iterable[Device],
    sensors: Sequence[Reading],
    ingest: Sequence[Reading],
) -> dict[str, LevelDelivery]:
    """Join what is stored with what sensors and ingest report of themselves."""
    levels = [_level(device.status) for device in devices]
    return {
        level: LevelDelivery(
            devices=levels.count(level),
            offered=_total(sensors, f"offered_readings_qos{level}"),
            acknowledged=_total(sensors, f"acknowledged_readings_qos{level}"),
            stored=found.count,
            missing=found.missing,
            latency_ms=latency(ingest, level),
        )
        for level, found in stored.items()
    }


def latency(ingest: Iterable[Reading], level: str) -> Latency:
    """Return the slowest replica's percentiles of a level, in ms."""
    readings = list(ingest)

    def slowest(percentile: str) -> float | None:
        found = _numbers(readings, f"latency_ms_qos{level}_{percentile}")
        return max(found, default=None)

    return Latency(slowest("p50"), slowest("p95"), slowest("p99"))


def ingest_totals(ingest: Sequence[Reading]) -> IngestTotals:
    """Add up the latest figures of all replicas."""

    def total(name: str) -> int:
        # A name stands for all its labels: dropped_readings_stopped, received_readings_qos1, …
        return round(
            sum(
                value
                for reading in ingest
                for field, value in reading.values.items()
                if isinstance(value, float) and (field == name or field.startswith(f"{name}_"))
            )
        )

    return IngestTotals(
        len(ingest),
        *(total(f"{what}_readings") for what in IngestTotals.__struct_fields__[1:]),
    )


def held(ingest: Sequence[Reading]) -> Held:
    """Return what ingests tell of their disks, added up, and of the broker, which is one."""
    queued = _numbers(ingest, "broker_queued_messages")
    return Held(
        spool_bytes=_total(ingest, "spool_bytes"),
        spool_budget_bytes=_total(ingest, "spool_budget_bytes"),
        quarantine_bytes=_total(ingest, "quarantine_bytes"),
        quarantine_budget_bytes=_total(ingest, "quarantine_budget_bytes"),
        broker_messages=round(max(queued)) if queued else None,
    )


def _level(status: DeviceStatus | None) -> str:
    return UNKNOWN if status is None or status.qos is None else str(status.qos)


def _total(figures: Iterable[Reading], field: str) -> int | None:
    found = _numbers(figures, field)
    return round(sum(found)) if found else None


def _numbers(figures: Iterable[Reading], field: str) -> list[float]:
    values = (reading.values.get(field) for reading in figures)
    return [value for value in values if isinstance(value, float)]
