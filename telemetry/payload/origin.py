"""Whose readings a payload holds: the address beside it, or the one that it names itself."""

from collections.abc import Mapping
from functools import lru_cache

from telemetry.payload.decoded import PayloadError
from telemetry.reading import Address
from telemetry.topics import PARTS, TopicError, checked_address

_KNOWN_ADDRESSES = 100_000  # remembered addresses; one is about 300 bytes
_SHOWN_CHARACTERS = 80


def resolve(
    address: Address | None, site: str | None, device: str | None, measurement: str | None
) -> Address:
    """Return the address of what names itself so; a part that is not named is None.

    The address beside the payload wins: PayloadError where another is named, and without one
    where the payload does not name its own.
    """
    if address is None:
        return _own(site, device, measurement)
    for part, named in zip(PARTS, (site, device, measurement), strict=True):
        expected = getattr(address, part)
        if named is not None and named != expected:
            shown = named[:_SHOWN_CHARACTERS]
            raise PayloadError(f"{part} {shown!r} is not the address's, {expected!r}")
    return address


def take_named(found: dict[str, object]) -> dict[str, str | None]:
    """Take out of an object what it names of its address; an object of that name is a value."""
    return {
        part: found.pop(part) if isinstance(found.get(part), str) else None  # type: ignore[misc]
        for part in PARTS
    }


@lru_cache(_KNOWN_ADDRESSES)
def _own(site: str | None, device: str | None, measurement: str | None) -> Address:
    if site is None or device is None or measurement is None:
        named: Mapping[str, str | None] = dict(zip(PARTS, (site, device, measurement), strict=True))
        raise PayloadError(f"names no {next(part for part in PARTS if named[part] is None)}")
    try:
        return checked_address(site, device, measurement)
    except TopicError as error:
        raise PayloadError(str(error)) from error
