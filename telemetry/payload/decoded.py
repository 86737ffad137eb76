"""What a payload became: readings, rejected parts with their reasons, and what was left out."""

from collections.abc import Mapping

from msgspec import Struct

from telemetry.reading import Address, Reading


class PayloadError(ValueError):
    """Raised when a payload, or one reading of a pack, cannot be read; says why."""


class Rejected(Struct, frozen=True):
    """One reading of a pack that was rejected: its place in the pack, and why."""

    index: int
    reason: str


class Decoded(Struct):
    """The readings of one payload; `left_out` counts nulls and arrays, which have no place."""

    readings: list[Reading]
    rejected: list[Rejected]
    left_out: int = 0


def check_origin(named: Mapping[str, object], address: Address) -> None:
    """Refuse a payload that names another site, device or measurement than its topic."""
    for part in ("site", "device", "measurement"):
        if named.get(part) not in (None, getattr(address, part)):
            expected = getattr(address, part)
            raise PayloadError(f"{part} {named[part]!r} is not the topic's, {expected!r}")
