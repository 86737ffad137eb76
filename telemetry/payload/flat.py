"""Flat JSON: `{"temperature": 21.5, "battery": {"volts": 3.1}}`, with or without `ts`."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from telemetry.payload.decoded import Decoded, PayloadError
from telemetry.payload.fields import check_fields
from telemetry.payload.flatten import flatten
from telemetry.payload.origin import resolve, take_named
from telemetry.reading import Address, EpochMs, Reading, Sequence, Value
from telemetry.worked_out import worked_out

_OBJECT = msgspec.json.Decoder(dict[str, Any])
_NOT_VALUES = ("ts", "boot", "seq")


@worked_out
class FlatReading(Struct, frozen=True):
    """A flat object, its values gathered."""

    values: dict[str, Value]
    ts: EpochMs | UnsetType = UNSET
    boot: EpochMs | None = None
    seq: Sequence | None = None


def decode_flat(payload: bytes, address: Address | None, arrival_ms: int) -> Decoded:
    """Decode one flat object; without `ts` the reading is stamped with its arrival."""
    try:
        found = _OBJECT.decode(payload)
        address = resolve(address, **take_named(found))
        known = {name: found.pop(name) for name in _NOT_VALUES if name in found}
        values, left_out = flatten(found)
        flat = msgspec.convert({**known, "values": values}, FlatReading)
    except msgspec.DecodeError as error:
        raise PayloadError(str(error)) from error
    check_fields(flat.values)
    time_ms = arrival_ms if flat.ts is UNSET else flat.ts
    reading = Reading(
        address.site,
        address.device,
        address.measurement,
        time_ms,
        flat.values,
        flat.boot,
        flat.seq,
    )
    return Decoded([reading], [], left_out)
