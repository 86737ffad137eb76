"""What a reading is: the names, types and limits on which every service agrees."""

from typing import Annotated

from msgspec import Meta, Struct

from telemetry.worked_out import worked_out

NAME_RULE = "1 to 64 of A-Z a-z 0-9 _ . : - and not beginning with a mark"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}\Z"

RESERVED_FIELD_NAMES = frozenset({"time", "site", "device", "boot", "seq"})
MAX_FIELDS = 256
MAX_INT64 = 2**63 - 1

Name = Annotated[str, Meta(pattern=f"^{_NAME}")]
"""A site, a device or a measurement."""

FIELD_NAME_PATTERN = f"^(?!(?:{'|'.join(sorted(RESERVED_FIELD_NAMES))})\\Z){_NAME}"
FieldName = Annotated[str, Meta(pattern=FIELD_NAME_PATTERN)]
"""A field: as a name, but not one that the store keeps for itself."""

Value = float | bool | str
"""What was measured. Numbers are floats: InfluxDB refuses one where an integer stood first."""

MAX_TIME_MS = MAX_INT64 // 1_000_000
EpochMs = Annotated[int, Meta(ge=0, le=MAX_TIME_MS)]
"""Milliseconds since the epoch, as far as a signed 64-bit number of nanoseconds reaches (2262)."""

Sequence = Annotated[int, Meta(ge=0, le=MAX_INT64)]


@worked_out
class Address(Struct, frozen=True):
    """Where a reading comes from and what it is of."""

    site: Name
    device: Name
    measurement: Name


class Reading(Struct, frozen=True, gc=False):
    """One measurement of one device at one time.

    (site, device, measurement) is its series; series and `time_ms` identify it. The device stamps
    the time with the moment at which the reading was due. `boot_ms` (when the device started) and
    `seq` (from 0, over all measurements of that boot) let gaps be counted; a sender that has
    neither is stored, but left out of audit and gap counts.
    """

    site: str
    device: str
    measurement: str
    time_ms: int
    values: dict[str, Value]
    boot_ms: int | None = None
    seq: int | None = None
