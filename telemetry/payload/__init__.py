"""Payloads: the bytes of a message become readings, each validated by its type.

A format is a function of the payload, its address and its arrival; `FORMATS` names them all. The
content type decides which one reads a payload, then the topic's template, then the first byte. A
bare value is read only where the topic names its field.
"""

from collections.abc import Callable

from telemetry.payload.decoded import Decoded, PayloadError, Rejected
from telemetry.payload.flat import decode_flat
from telemetry.payload.line import decode_line
from telemetry.payload.native import decode_native, looks_native
from telemetry.payload.senml import decode_senml, looks_senml
from telemetry.payload.senml_xml import decode_senml_xml
from telemetry.payload.value import decode_value
from telemetry.reading import Address
from telemetry.topics import FormatName

__all__ = ["CONTENT_TYPES", "Decoded", "PayloadError", "Rejected", "decode", "format_of"]

Format = Callable[[bytes, Address | None, int], Decoded]

FORMATS: dict[FormatName, Format] = {
    "native": decode_native,
    "flat": decode_flat,
    "line": decode_line,
    "senml": decode_senml,
    "senml-xml": decode_senml_xml,
}

CONTENT_TYPES: dict[str, FormatName] = {
    "application/vnd.denyut.reading+json": "native",
    "text/vnd.influxdb.line-protocol": "line",
    "application/senml+json": "senml",
    "application/senml+xml": "senml-xml",
}
"""Content types that name a format; `application/json` and unknown ones leave it to the payload."""

_SPACE = b" \t\r\n"
_MARKS = (b"{", b"[", b"<")


def decode(
    payload: bytes,
    address: Address | None,
    *,
    arrival_ms: int,
    content_type: str | None = None,
    template_format: FormatName | None = None,
    field: str | None = None,
) -> Decoded:
    """Return the readings of a payload, and what of it was rejected.

    `address` is the one that stands beside the payload, as in a topic; None: the payload names its
    own. `arrival_ms` stamps readings that carry no time. `field` is the name of a bare value.
    Raises PayloadError where nothing can be read.
    """
    if field is not None:
        return decode_value(payload, address, arrival_ms, field)
    chosen = format_of(payload, content_type, template_format)
    try:
        return FORMATS[chosen](payload, address, arrival_ms)
    except RecursionError as error:
        raise PayloadError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise PayloadError(f"not UTF-8: {error.reason}") from error


def format_of(
    payload: bytes, content_type: str | None, template_format: FormatName | None = None
) -> FormatName:
    """Return the format in which a payload is read."""
    named = _named(content_type) if content_type else None
    return named or template_format or _recognised(payload)


def _named(content_type: str) -> FormatName | None:
    return CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())


def _recognised(payload: bytes) -> FormatName:
    start = payload[:1] if payload[:1] in _MARKS else payload.lstrip(_SPACE)[:1]
    if start == b"[":
        return "senml" if looks_senml(payload) else "native"
    if start == b"{":
        return "native" if looks_native(payload) else "flat"
    return "senml-xml" if start == b"<" else "line"
