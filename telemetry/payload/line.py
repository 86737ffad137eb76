"""Line protocol as a payload: `weather,sensor=a temperature=21.5 1700000000123000000`.

Times are in nanoseconds, line protocol's default. The measurement and the tags `site` and `device`
are the reading's address, and must be the one beside the payload where there is one; other tags
become text fields.
"""

from typing import Any

import msgspec

from telemetry.lineprotocol import NS_PER_MS, BadLine, Point, parse_lines
from telemetry.payload.decoded import Decoded, PayloadError, Rejected
from telemetry.payload.fields import check_fields
from telemetry.payload.native import NativeReading
from telemetry.payload.origin import resolve
from telemetry.reading import Address, Reading


def decode_line(payload: bytes, address: Address | None, arrival_ms: int) -> Decoded:
    """Decode one or several lines; each stands or falls for itself."""
    decoded = Decoded([], [])
    for index, line in enumerate(parse_lines(payload.decode())):
        try:
            decoded.readings.append(_reading(line, address, arrival_ms))
        except PayloadError as error:
            decoded.rejected.append(Rejected(index, str(error)))
    if not decoded.readings and len(decoded.rejected) == 1:
        raise PayloadError(decoded.rejected[0].reason)
    if not decoded.readings and not decoded.rejected:
        raise PayloadError("an empty payload")
    return decoded


def _reading(line: Point | BadLine, address: Address | None, arrival_ms: int) -> Reading:
    if isinstance(line, BadLine):
        raise PayloadError(line.reason)
    site, device = line.tags.pop("site", None), line.tags.pop("device", None)
    address = resolve(address, site, device, line.measurement)
    values: dict[str, Any] = dict(line.fields)
    for tag, text in line.tags.items():
        if tag in values:
            raise PayloadError(f"a tag and a field are both named {tag}")
        values[tag] = text
    time_ms = arrival_ms if line.time is None else line.time // NS_PER_MS
    native = {"ts": time_ms, "boot": values.pop("boot", None), "seq": values.pop("seq", None)}
    try:
        checked = msgspec.convert({**native, "values": values}, NativeReading)
    except msgspec.ValidationError as error:
        raise PayloadError(str(error)) from error
    check_fields(checked.values)
    return Reading(
        address.site,
        address.device,
        address.measurement,
        checked.ts,
        checked.values,
        checked.boot,
        checked.seq,
    )
