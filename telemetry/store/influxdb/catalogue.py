"""What a bucket holds: its measurements, their fields and their sites.

InfluxQL aggregates `*` over every field of every measurement, `boot` and `seq` among them, and
takes twice as long for it as for the fields by name. So they are asked for first, and the answer is
kept for two seconds: a field or a site that is new takes part in aggregates after that time at the
latest. Single readings do not go by it.
"""

import time
from collections.abc import Callable, Sequence

from msgspec import Struct

from telemetry.store import Aggregate, FieldType, Selection, StoredField
from telemetry.store.influxdb.questions import Column
from telemetry.store.influxdb.session import Rows

KEEP_SECONDS = 2.0
_FIELDS = "SHOW FIELD KEYS"
_SITES = "SHOW TAG VALUES WITH KEY = site"

_IDENTITY = frozenset({"boot", "seq"})
_NUMBERS = frozenset({"float", "integer", "unsigned"})
_TYPES: dict[str, FieldType] = {
    "float": "number",
    "integer": "number",
    "unsigned": "number",
    "boolean": "boolean",
    "string": "text",
}
_OF_ANY_TYPE = frozenset({"count", "first", "last"})

Ask = Callable[[str, str], list[Rows]]
"""Asks a statement without parameters of a bucket."""


class Measurement(Struct, frozen=True):
    """A measurement of a bucket: the types of each field, and the sites that have readings."""

    name: str
    types: dict[str, set[str]]
    sites: set[str]

    def may_hold(self, selection: Selection) -> bool:
        """Whether the measurement has readings of the selected sites at all."""
        if selection.measurement not in (None, self.name):
            return False
        if selection.site is not None and selection.site not in self.sites:
            return False
        return self.sites != {selection.except_site}

    def fields(self) -> list[StoredField]:
        """Return the fields of readings with their types, in order."""
        return [
            StoredField(self.name, field, kind)
            for field, types in sorted(self.types.items())
            if field not in _IDENTITY
            for kind in sorted({_TYPES[one] for one in types})
        ]

    def columns(self, selection: Selection, aggregates: Sequence[Aggregate]) -> list[Column]:
        """Return the columns that aggregate the selected fields of readings."""
        return [
            Column(one, field, field, one)
            for field, types in sorted(self.types.items())
            if field not in _IDENTITY and _is_wanted(field, selection)
            if aggregates[0] in _OF_ANY_TYPE or types & _NUMBERS
            for one in aggregates
        ]

    def downsampled_columns(
        self, selection: Selection, aggregates: Sequence[Aggregate]
    ) -> list[Column]:
        """Return the columns that aggregate minutes or hours: their counts are added up."""
        found = []
        for stored in sorted(self.types):
            field, _, part = stored.rpartition(".")
            for one in aggregates:
                if part == one and _is_wanted(field, selection):
                    found.append(Column("sum" if one == "count" else one, stored, field, one))
        return found


def _is_wanted(field: str, selection: Selection) -> bool:
    return selection.fields is None or field in selection.fields


class Catalogue:
    """The measurements of buckets, each bucket's looked up at most every two seconds."""

    def __init__(self, ask: Ask, clock: Callable[[], float] = time.monotonic) -> None:
        self._ask = ask
        self._clock = clock
        self._kept: dict[str, tuple[float, list[Measurement]]] = {}

    def columns(
        self, bucket: str, selection: Selection, aggregates: Sequence[Aggregate], *, raw: bool
    ) -> dict[str, list[Column]]:
        """Return what to aggregate, by measurement: of readings (raw), or of minutes or hours."""
        found = {}
        for one in self.measurements(bucket):
            if one.may_hold(selection):
                columns = one.columns if raw else one.downsampled_columns
                found[one.name] = columns(selection, aggregates)
        return {name: columns for name, columns in found.items() if columns}

    def table(
        self, bucket: str, selection: Selection, fields: Sequence[str]
    ) -> dict[str, list[str]]:
        """Return, by measurement, which columns of a table of these fields it has."""
        found = {}
        for one in self.measurements(bucket):
            wanted = [name for name in fields if name in one.types]
            if wanted and one.may_hold(selection):
                identity = _IDENTITY & one.types.keys() if selection.fields is None else ()
                found[one.name] = [*sorted(identity), *wanted]
        return found

    def measurements(self, bucket: str) -> list[Measurement]:
        """Return what a bucket holds, by name."""
        kept = self._kept.get(bucket)
        if kept is None or kept[0] <= self._clock():
            until = self._clock() + KEEP_SECONDS
            kept = self._kept[bucket] = (until, self._look_up(bucket))
        return kept[1]

    def _look_up(self, bucket: str) -> list[Measurement]:
        sites = {
            rows.name: {str(value) for _key, value in rows.values}
            for rows in self._ask(bucket, _SITES)
        }
        found = []
        for rows in self._ask(bucket, _FIELDS):
            types: dict[str, set[str]] = {}
            for field, kind in rows.values:
                types.setdefault(field, set()).add(kind)
            found.append(Measurement(rows.name, types, sites.get(rows.name, set())))
        return sorted(found, key=lambda one: one.name)
