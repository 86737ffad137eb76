"""SenML (RFC 8428): records of one value each become readings, one for each time.

The address stands beside the payload: a base name is a name of the sender's own, not a device. A
field is called as the last part of the resolved name, behind the last `/` or `:`. Units and update
times are passed over. A record's sum becomes the field `{name}.integral`, as it is the value
integrated over time: `.sum` is what a downsampled bucket adds up.
"""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec
from msgspec import Struct, field

from telemetry.payload.decoded import Decoded, PayloadError, Rejected
from telemetry.payload.fields import BAD_NAME, check_fields, is_field_name
from telemetry.payload.origin import resolve
from telemetry.reading import MAX_TIME_MS, Address, Reading, Value

Record = Mapping[str, Any]

_PACK = msgspec.json.Decoder(list[dict[str, Any]])
_VERSION = 10
_FIRST_ABSOLUTE_SECONDS = 2**28
_MS_PER_SECOND = 1000
_VALUE_LABELS = ("v", "vs", "vb", "vd")
_OWN_LABELS = frozenset((*_VALUE_LABELS, "n", "u", "s", "t", "ut"))
_LABELS = _OWN_LABELS | {"bn", "bt", "bu", "bv", "bs", "bver"}


class _Base(Struct):
    """The base fields in force; None: not given yet."""

    name: str = ""
    time: float = 0.0
    value: float | None = None
    sum: float | None = None


class _Group(Struct):
    """The values of one time, and where in the pack the first of them stood."""

    place: int
    values: dict[str, Value] = field(default_factory=dict)


def looks_senml(payload: bytes) -> bool:
    """Tell SenML from a native pack: its records have names, and no `values`."""
    return b'"values"' not in payload and (b'"n"' in payload or b'"bn"' in payload)


def decode_senml(payload: bytes, address: Address | None, arrival_ms: int) -> Decoded:
    """Decode a pack in JSON; each record stands or falls for itself."""
    try:
        records = _PACK.decode(payload)
    except msgspec.DecodeError as error:
        raise PayloadError(str(error)) from error
    return readings_of(records, address, arrival_ms)


def readings_of(records: list[dict[str, Any]], address: Address | None, arrival_ms: int) -> Decoded:
    """Return the readings of a pack's records.

    Raises PayloadError where a base field cannot be understood: what follows would be guessed.
    """
    if not records:
        raise PayloadError("an empty pack")
    address = resolve(address, None, None, None)
    base = _Base()
    groups: dict[int, _Group] = {}
    rejected: list[Rejected] = []
    for index, record in enumerate(records):
        try:
            _take_base(record, base)
        except PayloadError as error:
            raise PayloadError(f"record {index}: {error}") from error
        try:
            found = _values(record, base)
            if found:
                _gather(groups, index, _time_ms(record, base, arrival_ms), found)
        except PayloadError as error:
            rejected.append(Rejected(index, str(error)))
    return _decoded(groups, rejected, address)


def _take_base(record: Record, base: _Base) -> None:
    _check_understood(record)
    if "bn" in record:
        base.name = _text(record, "bn")
    if "bt" in record:
        base.time = _number(record, "bt")
    if "bv" in record:
        base.value = _number(record, "bv")
    if "bs" in record:
        base.sum = _number(record, "bs")


def _check_understood(record: Record) -> None:
    if "bver" in record and not 0 < _number(record, "bver") <= _VERSION:
        raise PayloadError(f"version {record['bver']} is not known")
    if not _LABELS.issuperset(record):
        for label in record:
            if label.endswith("_"):
                raise PayloadError(f"the label {label[:64]!r} has to be understood, and is not")


def _values(record: Record, base: _Base) -> dict[str, Value]:
    """Return the fields of a record; none where it has nothing but base fields."""
    if _OWN_LABELS.isdisjoint(record):
        return {}
    name = _field_name(record, base)
    found: dict[str, Value] = {}
    value = _value(record, base)
    if value is not None:
        found[name] = value
    if base.sum is not None or "s" in record:
        found[_checked(f"{name}.integral")] = _added(base.sum, record, "s")
    if not found:
        raise PayloadError("has no value")
    return found


def _value(record: Record, base: _Base) -> Value | None:
    labels = [label for label in _VALUE_LABELS if label in record]
    if len(labels) > 1:
        raise PayloadError(f"has {' and '.join(labels)}: one value is allowed")
    if labels == ["vd"]:
        raise PayloadError("data (vd) cannot be stored")
    if labels == ["vs"]:
        return _text(record, "vs")
    if labels == ["vb"]:
        return _boolean(record, "vb")
    if labels or (base.value is not None and "s" not in record):
        return _added(base.value, record, "v")
    return None


def _gather(groups: dict[int, _Group], index: int, time_ms: int, found: dict[str, Value]) -> None:
    group = groups.get(time_ms)
    if group is None:
        group = groups[time_ms] = _Group(index)
    for name, value in found.items():
        if name in group.values:
            raise PayloadError(f"two values for {name} at one time")
        group.values[name] = value


def _decoded(groups: dict[int, _Group], rejected: list[Rejected], address: Address) -> Decoded:
    readings, places = [], []
    for time_ms, group in groups.items():
        try:
            check_fields(group.values)
        except PayloadError as error:
            rejected.append(Rejected(group.place, str(error)))
        else:
            site, device, measurement = address.site, address.device, address.measurement
            readings.append(Reading(site, device, measurement, time_ms, group.values))
            places.append(group.place)
    if not readings and not rejected:
        raise PayloadError("a pack without values")
    return Decoded(readings, sorted(rejected, key=lambda one: one.index), 0, places)


def _time_ms(record: Record, base: _Base, arrival_ms: int) -> int:
    """Return a record's time; below 2**28 seconds it is relative to now."""
    seconds = _added(base.time, record, "t")
    time_ms = round(seconds * _MS_PER_SECOND)
    if seconds < _FIRST_ABSOLUTE_SECONDS:
        time_ms += arrival_ms
    if not 0 <= time_ms <= MAX_TIME_MS:
        raise PayloadError("t is out of range")
    return time_ms


def _field_name(record: Record, base: _Base) -> str:
    name = base.name + (_text(record, "n") if "n" in record else "")
    if not name:
        raise PayloadError("has no name")
    return _checked(name[max(name.rfind("/"), name.rfind(":")) + 1 :])


def _checked(name: str) -> str:
    if not is_field_name(name):
        raise PayloadError(BAD_NAME)
    return name


def _added(base: float | None, record: Record, label: str) -> float:
    """Return a base value and a record's own added up; what is missing is zero (4.5)."""
    total = (base or 0.0) + (_number(record, label) if label in record else 0.0)
    if not isfinite(total):
        raise PayloadError(f"{label} is not a number that can be stored")
    return total


def _number(record: Record, label: str) -> float:
    value = record[label]
    try:
        number = float(value) if type(value) in (int, float) else None
    except OverflowError:
        number = None
    if number is None or not isfinite(number):
        raise PayloadError(f"{label} is not a number that can be stored")
    return number


def _text(record: Record, label: str) -> str:
    value = record[label]
    if not isinstance(value, str):
        raise PayloadError(f"{label} is not a text")
    return value


def _boolean(record: Record, label: str) -> bool:
    value = record[label]
    if not isinstance(value, bool):
        raise PayloadError(f"{label} is neither true nor false")
    return value
