"""What the API answers, as types; a field that a newer API has as well is passed over."""

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

from telemetry.reading import Value

State = Literal["online", "offline", "unknown"]
Order = Literal["asc", "desc"]
Aggregate = Literal[
    "mean", "min", "max", "sum", "count", "first", "last", "p50", "p90", "p95", "p99"
]


class Reading(Struct, frozen=True, gc=False):
    """A reading, or an interval: then `time` is its start, and `boot` and `seq` are None."""

    time: datetime
    site: str
    device: str
    measurement: str
    values: dict[str, Value]
    boot: datetime | None
    seq: int | None


class ReadingsPage(Struct, frozen=True):
    """A part of the readings of start <= time < stop; `next` leads to the rest, if there is one.

    `resolution` says whether aggregates were made from the readings (`raw`), or from their minutes
    (`1m`) or hours (`1h`).
    """

    start: datetime
    stop: datetime
    every_ms: int | None
    aggregate: str | None
    resolution: str
    order: Order
    truncated: bool
    next: str | None
    readings: list[Reading]


class Latest(Struct, frozen=True):
    """The latest reading of each series; `truncated` where there are more than were asked for."""

    readings: list[Reading]
    truncated: bool


class Device(Struct, frozen=True):
    """A device; `lag_ms` is its last reading's age, `rate` its readings per second."""

    device: str
    site: str
    state: State
    qos: int | None
    profile: str | None
    since: datetime | None
    boot: datetime | None
    measurements: tuple[str, ...]
    last_seen: datetime | None
    lag_ms: int | None
    rate: float


class DevicesPage(Struct, frozen=True):
    """A part of the devices, by name."""

    devices: list[Device]
    count: int
    truncated: bool
    next: str | None


class Site(Struct, frozen=True):
    """A site: its devices by state, what they measure, and when the last of them was heard."""

    site: str
    devices: int
    online: int
    offline: int
    unknown: int
    measurements: list[str]
    last_seen: datetime | None


class SitesPage(Struct, frozen=True):
    """A part of the sites, by name."""

    sites: list[Site]
    count: int
    truncated: bool
    next: str | None


class Field(Struct, frozen=True):
    """A field; `unit` is a code of UCUM, None where none is known or it is no quantity."""

    name: str
    type: str
    unit: str | None


class Measurement(Struct, frozen=True):
    """A measurement: how many devices have readings of it, at which sites, with which fields."""

    measurement: str
    devices: int
    sites: list[str]
    fields: list[Field]


class MeasurementsPage(Struct, frozen=True):
    """A part of the measurements, by name."""

    measurements: list[Measurement]
    count: int
    truncated: bool
    next: str | None


class Latency(Struct, frozen=True):
    """From a reading's own time to the store's confirmation, in ms; None where none is known."""

    p50: float | None
    p95: float | None
    p99: float | None


class LevelNow(Struct, frozen=True):
    """One QoS level now."""

    devices: int
    online: int
    readings_per_second: float | None
    latency_ms: Latency


class History(Struct, frozen=True):
    """Stored readings per second by QoS level, in steps from `start` on; None: not reported."""

    start: datetime
    step_ms: int
    readings_per_second: dict[str, list[float | None]]


class Fleet(Struct, frozen=True):
    """The fleet; `states_current` is false while the API has no connection to the broker."""

    time: datetime
    devices: int
    online: int
    offline: int
    unknown: int
    states_current: bool
    series: int
    last_seen: datetime | None
    lag_ms: int | None
    readings_per_second: float | None
    by_qos: dict[str, LevelNow]
    history: History


class LevelDelivery(Struct, frozen=True):
    """One QoS level, in readings; None is not known. What is on its way counts as missing."""

    devices: int
    offered: int | None
    acknowledged: int | None
    stored: int
    missing: int
    latency_ms: Latency


class IngestTotals(Struct, frozen=True):
    """What ingest counts, in readings.

    received + taken_over = written + quarantined + spooled + in_flight + dropped.
    """

    replicas: int
    received: int
    taken_over: int
    written: int
    quarantined: int
    spooled: int
    in_flight: int
    dropped: int
    repeated: int


class Held(Struct, frozen=True):
    """What is held outside the store, of what may be; None is not known."""

    spool_bytes: int | None
    spool_budget_bytes: int | None
    quarantine_bytes: int | None
    quarantine_budget_bytes: int | None
    broker_messages: int | None


class Delivery(Struct, frozen=True):
    """The delivery report; readings of devices that told no level stand under `unknown`.

    `counted` is when stored and missing readings were counted.
    """

    time: datetime
    counted: datetime
    by_qos: dict[str, LevelDelivery]
    ingest: IngestTotals
    held: Held


class KnownCommand(Struct, frozen=True):
    """A command, what it does, and the JSON Schema of its body."""

    name: str
    summary: str
    body: dict[str, Any]


class CommandsAnswer(Struct, frozen=True):
    """The commands that simulated devices know."""

    commands: list[KnownCommand]


class CommandAnswer(Struct, frozen=True):
    """What a device has answered to a command."""

    device: str
    name: str
    ok: bool
    answer: dict[str, Any]
