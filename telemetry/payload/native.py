"""Native JSON in ThingsBoard's shape: `{"ts": ms, "values": {…}, "boot": ms, "seq": n}`, or a pack.

A pack is an array of them, or, with the address that all of them share, an addressed pack:
`{"site": …, "device": …, "measurement": …, "readings": […]}`. The strict decoder reads what our own
devices send in one step; only what it refuses is read again part by part and leniently (nested
values, nulls), and then held to the same type.
"""

from typing import Any

import msgspec
from msgspec import Struct

from telemetry.payload.decoded import Decoded, PayloadError, Rejected
from telemetry.payload.fields import check_fields
from telemetry.payload.flatten import flatten
from telemetry.payload.origin import resolve
from telemetry.reading import Address, EpochMs, Reading, Sequence, Value


class NativeReading(Struct, frozen=True, gc=False):
    """One reading as it travels."""

    ts: EpochMs
    values: dict[str, Value]
    boot: EpochMs | None = None
    seq: Sequence | None = None
    site: str | None = None
    device: str | None = None
    measurement: str | None = None


class _AddressedPack(Struct, frozen=True, gc=False):
    readings: list[NativeReading]
    site: str | None = None
    device: str | None = None
    measurement: str | None = None


class _AddressedParts(Struct, frozen=True, gc=False):
    """An addressed pack whose readings are looked at one by one."""

    readings: list[msgspec.Raw]
    site: str | None = None
    device: str | None = None
    measurement: str | None = None


_ONE = msgspec.json.Decoder(NativeReading)
_PACK = msgspec.json.Decoder(list[NativeReading])
_ADDRESSED = msgspec.json.Decoder(_AddressedPack)
_PARTS = msgspec.json.Decoder(list[msgspec.Raw])
_ADDRESSED_PARTS = msgspec.json.Decoder(_AddressedParts)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANYTHING = msgspec.json.Decoder()


def encode_native(reading: Reading) -> bytes:
    """Return the payload of a reading."""
    native = {"ts": reading.time_ms, "values": reading.values}
    if reading.boot_ms is not None:
        native["boot"] = reading.boot_ms
    if reading.seq is not None:
        native["seq"] = reading.seq
    return msgspec.json.encode(native)


def looks_native(payload: bytes) -> bool:
    """Tell native from flat JSON: a native object has `values`, and `ts` or `readings`."""
    return b'"values"' in payload and (b'"ts"' in payload or b'"readings"' in payload)


def decode_native(payload: bytes, address: Address | None, _arrival_ms: int) -> Decoded:
    """Decode one reading or a pack; in a pack each reading stands or falls for itself."""
    try:
        return Decoded(_decode_quickly(payload, address), [])
    except (PayloadError, msgspec.DecodeError):
        return _decode_part_by_part(payload, address)


def _decode_quickly(payload: bytes, address: Address | None) -> list[Reading]:
    """Return the readings of a payload in which all is as it should be."""
    if payload.lstrip()[:1] == b"[":
        natives = _PACK.decode(payload)
    elif b'"readings"' in payload:
        pack = _ADDRESSED.decode(payload)
        address = resolve(address, pack.site, pack.device, pack.measurement)
        natives = pack.readings
    else:
        natives = [_ONE.decode(payload)]
    if not natives:
        raise PayloadError("an empty pack")
    return [_reading(native, address) for native in natives]


def _decode_part_by_part(payload: bytes, address: Address | None) -> Decoded:
    try:
        if payload.lstrip()[:1] == b"[":
            parts = _PARTS.decode(payload)
        elif _is_addressed(payload):
            pack = _ADDRESSED_PARTS.decode(payload)
            address = resolve(address, pack.site, pack.device, pack.measurement)
            parts = pack.readings
        else:
            native, left_out = _decode_one(payload)
            return Decoded([_reading(native, address)], [], left_out)
    except msgspec.DecodeError as error:
        raise PayloadError(str(error)) from error
    if not parts:
        raise PayloadError("an empty pack")
    return _decode_parts(parts, address)


def _decode_parts(parts: list[msgspec.Raw], address: Address | None) -> Decoded:
    decoded = Decoded([], [])
    for index, part in enumerate(parts):
        try:
            native, left_out = _decode_one(part)
            decoded.readings.append(_reading(native, address))
            decoded.left_out += left_out
        except PayloadError as error:
            decoded.rejected.append(Rejected(index, str(error)))
    return decoded


def _is_addressed(payload: bytes) -> bool:
    """Tell an addressed pack from a reading with a field named `readings`."""
    if b'"readings"' not in payload:
        return False
    members = _MEMBERS.decode(payload)
    return "readings" in members and "values" not in members


def _decode_one(payload: bytes | msgspec.Raw) -> tuple[NativeReading, int]:
    try:
        return _ONE.decode(payload), 0
    except msgspec.ValidationError:
        return _decode_leniently(payload)
    except msgspec.DecodeError as error:
        raise PayloadError(str(error)) from error


def _decode_leniently(payload: bytes | msgspec.Raw) -> tuple[NativeReading, int]:
    try:
        native: Any = _ANYTHING.decode(payload)
        if not isinstance(native, dict) or not isinstance(native.get("values"), dict):
            raise PayloadError("not an object with ts and values")
        values, left_out = flatten(native["values"])
        return msgspec.convert({**native, "values": values}, NativeReading), left_out
    except msgspec.DecodeError as error:
        raise PayloadError(str(error)) from error


def _reading(native: NativeReading, address: Address | None) -> Reading:
    check_fields(native.values)
    if address is None or not (native.site is native.device is native.measurement is None):
        address = resolve(address, native.site, native.device, native.measurement)
    return Reading(
        address.site,
        address.device,
        address.measurement,
        native.ts,
        native.values,
        native.boot,
        native.seq,
    )
