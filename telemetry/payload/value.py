"""A bare value, where each has a topic of its own: `22.5`, `true`, `"open"`, or a word as `on`."""

import msgspec

from telemetry.payload.decoded import Decoded, PayloadError
from telemetry.payload.fields import check_fields
from telemetry.payload.origin import resolve
from telemetry.reading import Address, Reading, Value

_SCALAR: msgspec.json.Decoder[Value] = msgspec.json.Decoder(Value)
_NOT_STORED = ("nan", "inf", "infinity", "null", "none")
_LONGEST_CHARACTERS = 1024


def decode_value(payload: bytes, address: Address | None, arrival_ms: int, field: str) -> Decoded:
    """Decode one value of the field named `field`, stamped with its arrival.

    `on` and `off` stay words: a device that says them also says others, and a field has one type.
    """
    address = resolve(address, None, None, None)
    values = {field: _value(payload)}
    check_fields(values)
    reading = Reading(address.site, address.device, address.measurement, arrival_ms, values)
    return Decoded([reading], [])


def _value(payload: bytes) -> Value:
    try:
        return _SCALAR.decode(payload)
    except msgspec.ValidationError as error:
        raise PayloadError(str(error)) from error
    except msgspec.DecodeError:
        return _word(payload)


def _word(payload: bytes) -> str:
    try:
        word = payload.decode().strip()
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8: {error.reason}") from error
    if not word:
        raise PayloadError("an empty payload")
    if word.lstrip("+-").lower() in _NOT_STORED:
        raise PayloadError(f"{word} is not a value that can be stored")
    if len(word) > _LONGEST_CHARACTERS or word[0] in "{[":
        raise PayloadError("not a bare value")
    return word
