"""The store, as ingest writes it and the API reads it: one interface for SQLite and InfluxDB.

StoreError
├── StoreUnavailable    the store may take the same batch later
│   ├── StoreThrottled  ... and has said when
│   └── StoreTooSlow    ... and has not answered within its time-out
└── StoreMisconfigured  the address, the credentials or the schema are wrong: a person is needed
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from telemetry.reading import EpochMs, Reading, Value

Aggregate = Literal[
    "mean", "min", "max", "sum", "count", "first", "last", "p50", "p90", "p95", "p99"
]
Resolution = Literal["raw", "1m", "1h"]
"""What an aggregated range was made from: the readings, or their minutes or hours."""


FieldType = Literal["number", "boolean", "text"]

Row = tuple[Any, ...]
"""A reading in a table: time_ms, site, device, measurement, boot_ms, seq, and a value or None for
each field that the table has."""


class StoreError(Exception):
    """Raised when a store could not do what it was asked."""


class StoreUnavailable(StoreError):
    """Raised when the store is away, overloaded or too slow; the same call may succeed later."""


class StoreThrottled(StoreUnavailable):
    """Raised when the store asks for a pause of `retry_after_seconds`."""

    def __init__(self, message: str, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class StoreTooSlow(StoreUnavailable):
    """Raised when a call took longer than the store's time-out."""


class StoreMisconfigured(StoreError):
    """Raised when nothing helps until somebody mends an address, a credential or the schema."""


class Refused(Struct, frozen=True):
    """A reading that the store will never take: its place in the batch, and why."""

    index: int
    reason: str


class Series(Struct, frozen=True):
    """What one device reports under one measurement, and when it last did (ms since the epoch)."""

    site: str
    device: str
    measurement: str
    last_ms: int


class Selection(Struct, frozen=True, kw_only=True):
    """Which readings: of a site, device and measurement (None is any), start <= time < stop.

    With `fields`, only these, and only readings that have one of them, told without boot and
    sequence number; `except_site` leaves a site out of a question for all of them.
    """

    start_ms: int
    stop_ms: int
    site: str | None = None
    device: str | None = None
    measurement: str | None = None
    fields: tuple[str, ...] | None = None
    except_site: str | None = None


class Position(NamedTuple):
    """A place in the order of readings or intervals: behind the one that has these."""

    time_ms: EpochMs
    device: str
    measurement: str
    site: str


class StoredField(Struct, frozen=True):
    """A field that readings of a measurement have; one may have several types."""

    measurement: str
    name: str
    type: FieldType


class ReadingCount(Struct, frozen=True):
    """How many readings of a series there are."""

    site: str
    device: str
    measurement: str
    count: int


class Bucket(Struct, frozen=True, gc=False):
    """One interval of an aggregated range: its start and, per field, the aggregate over it."""

    site: str
    device: str
    measurement: str
    start_ms: int
    values: dict[str, Value]


class Aggregated(Struct, frozen=True):
    """The intervals of a range, and what they were made from."""

    buckets: list[Bucket]
    resolution: Resolution


class SequenceCount(Struct, frozen=True):
    """How many readings of one boot of a device are stored, and the greatest `seq` among them.

    `max_seq + 1 - count` readings of that boot are missing.
    """

    device: str
    boot_ms: int
    count: int
    max_seq: int


class StoredSequence(Struct, frozen=True, gc=False):
    """A stored reading as the audit sees it: its identity and its place, without its values."""

    site: str
    device: str
    measurement: str
    time_ms: int
    boot_ms: int
    seq: int


class Store(Protocol):
    """A store of readings. Its methods block: asyncio code calls them in a thread of its own.

    Every method raises StoreError; a call that takes longer than the store's time-out raises
    StoreTooSlow.
    """

    name: str

    def write(self, readings: Sequence[Reading]) -> list[Refused]:
        """Store the readings durably; return those that can never be stored, the rest being stored.

        Storing a reading again changes nothing. Where two have one series and time, the later one
        wins field by field. A StoreError means that none, some or all may have been stored: write
        the same batch again.
        """

    def write_lines(self, lines: Sequence[bytes], *, divisible: bool = False) -> list[Refused]:
        """Store readings that are lines already, as `lineprotocol.format_line` writes them.

        All else is as of `write`. Where it is `divisible`, no two are of one series and time: parts
        may be written at once.
        """

    def check(self) -> None:
        """Raise StoreError, naming what is wrong, unless the store would answer now."""

    def series(self) -> list[Series]:
        """Return every series, ordered by site, device, measurement."""

    def latest(self, *, site: str | None = None, device: str | None = None) -> list[Reading]:
        """Return the latest reading of each series, ordered by site, device, measurement."""

    def fields(self) -> list[StoredField]:
        """Return the fields of all readings, ordered by measurement, name and type.

        A field that is new may be missing for two seconds.
        """

    def counts(self, start_ms: int, stop_ms: int) -> list[ReadingCount]:
        """Return how many readings each series has, start <= time < stop, if any.

        InfluxDB counts values: of a series whose readings have no field in common it tells less; of
        a measurement that is new it tells nothing for two seconds.
        """

    def readings(
        self,
        selection: Selection,
        *,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> list[Reading]:
        """Return at most `limit` readings, by time, then device, measurement and site, rising.

        `descending` turns the order of time around, and only that. `after` begins behind a place.
        """

    def rows(
        self,
        selection: Selection,
        fields: Sequence[str],
        *,
        descending: bool = False,
        after: Position | None = None,
    ) -> Iterator[list[Row]]:
        """Yield all selected readings in the same order, page by page, as rows of these fields.

        Each page is a short question of its own, so that neither memory nor the store is bound by
        how many there are, or by how slowly they are taken. Readings without any of the fields are
        left out; a selection of fields leaves boot and seq out.
        """

    def aggregate(
        self,
        selection: Selection,
        *,
        every_ms: int,
        aggregate: Aggregate,
        limit: int,
        descending: bool = False,
        after: Position | None = None,
    ) -> Aggregated:
        """Return at most `limit` intervals of `every_ms`, aligned to the epoch, that hold readings.

        Ordered as readings are, by their start. Booleans and texts take part in `count`,
        `first` and `last` only; a field with nothing to aggregate is left out. A percentile is the
        value at its nearest rank. A store may answer long ranges from minutes or hours, and may
        notice a field that is new only after two seconds.
        """

    def sequence_counts(self) -> Iterator[SequenceCount]:
        """Yield, per device and boot, how many readings are stored and the greatest number."""

    def sequences(
        self,
        *,
        device: str | None = None,
        start_ms: int | None = None,
        stop_ms: int | None = None,
    ) -> Iterator[StoredSequence]:
        """Yield the stored readings that have a boot and a sequence number, one after another.

        Of all devices or one, start <= time < stop; without a bound from the first or to the last.
        """

    def close(self) -> None:
        """Let go of files and connections."""
