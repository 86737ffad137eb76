"""Native JSON in ThingsBoard's shape: `{"ts": ms, "values": {…}, "boot": ms, "seq": n}`, or a pack.

A pack is an array of them. The strict decoder reads what our own devices send in one step; only
what it refuses is read again leniently (nested values, nulls), and then held to the same type.
"""

from typing import Any

import msgspec
from msgspec import Struct

from telemetry.payload.decoded import Decoded, PayloadError, Rejected, check_origin
from telemetry.payload.flatten import flatten, reason
from telemetry.reading import Address, EpochMs, Reading, Sequence, Values


class NativeReading(Struct, frozen=True, gc=False):
    """One reading as it travels."""

    ts: EpochMs
    values: Values
    boot: EpochMs | None = None
    seq: Sequence | None = None
    site: str | None = None
    device: str | None = None
    measurement: str | None = None


_ONE = msgspec.json.Decoder(NativeReading)
_PACK = msgspec.json.Decoder(list[msgspec.Raw])
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
    """Tell native from flat JSON: a native object has `ts` and `values`."""
    return b'"values"' in payload and b'"ts"' in payload


def decode_native(payload: bytes, address: Address, _arrival_ms: int) -> Decoded:
    """Decode one reading or a pack; in a pack each reading stands or falls for itself."""
    if payload.lstrip()[:1] != b"[":
        native, left_out = _decode_one(payload)
        return Decoded([_reading(native, address)], [], left_out)
    decoded = Decoded([], [])
    for index, part in enumerate(_parts(payload)):
        try:
            native, left_out = _decode_one(part)
            decoded.readings.append(_reading(native, address))
            decoded.left_out += left_out
        except PayloadError as error:
            decoded.rejected.append(Rejected(index, str(error)))
    return decoded


def _parts(payload: bytes) -> list[msgspec.Raw]:
    try:
        parts = _PACK.decode(payload)
    except msgspec.DecodeError as error:
        raise PayloadError(reason(error)) from error
    if not parts:
        raise PayloadError("an empty pack")
    return parts


def _decode_one(payload: bytes | msgspec.Raw) -> tuple[NativeReading, int]:
    try:
        return _ONE.decode(payload), 0
    except msgspec.ValidationError:
        return _decode_leniently(payload)
    except msgspec.DecodeError as error:
        raise PayloadError(reason(error)) from error


def _decode_leniently(payload: bytes | msgspec.Raw) -> tuple[NativeReading, int]:
    try:
        native: Any = _ANYTHING.decode(payload)
        if not isinstance(native, dict) or not isinstance(native.get("values"), dict):
            raise PayloadError("not an object with ts and values")
        values, left_out = flatten(native["values"])
        return msgspec.convert({**native, "values": values}, NativeReading), left_out
    except msgspec.DecodeError as error:
        raise PayloadError(reason(error)) from error


def _reading(native: NativeReading, address: Address) -> Reading:
    if native.device is not None or native.site is not None or native.measurement is not None:
        check_origin(msgspec.structs.asdict(native), address)
    return Reading(
        address.site,
        address.device,
        address.measurement,
        native.ts,
        native.values,
        native.boot,
        native.seq,
    )
