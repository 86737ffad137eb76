"""The names of the devices that a broker lets in, from a file of names and ranges.

A line is a name, or a range such as `press-{00000..00499}`: both ends are in it, and its numbers
are as wide as they are written. What follows a `#` is a comment.
"""

import re
from collections.abc import Iterator

import msgspec

from broker.access import SERVICE_USERS
from telemetry.reading import NAME_RULE, Name

MOST_DEVICES = 200_000

_RANGE = re.compile(r"([^{}]*)\{([0-9]{1,9})\.\.([0-9]{1,9})\}([^{}]*)")


class DevicesError(ValueError):
    """Raised when a file of devices cannot be read; names the line and what is wrong with it."""


def parse_devices(text: str) -> list[str]:
    """Return the names in the order of the file, each once; there is at least one."""
    names: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        try:
            names |= dict.fromkeys(_names(entry))
        except DevicesError as error:
            raise DevicesError(f"line {number}: {error}") from error
        if len(names) > MOST_DEVICES:
            raise DevicesError(f"line {number}: these are more than {MOST_DEVICES:,} devices")
    if not names:
        raise DevicesError("it names no device")
    return list(names)


def checked_device(name: str) -> str:
    """Return the name; DevicesError where no device can have it."""
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError as error:
        raise DevicesError(f"{name!r} is not a name: {NAME_RULE}") from error
    if ":" in name:
        raise DevicesError(f"{name!r}: Mosquitto's password file cannot hold a colon")
    if name in SERVICE_USERS:
        raise DevicesError(f"{name!r} is the user of a service")
    return name


def _names(entry: str) -> Iterator[str]:
    if not set(entry) & set("{}"):
        yield checked_device(entry)
        return
    found = _RANGE.fullmatch(entry)
    if found is None:
        raise DevicesError(f"{entry!r} is not a range: one looks like press-{{000..499}}")
    before, first, last, behind = found.groups()
    _check_ends(entry, first, last)
    # The others are as these two: the last is the longest.
    checked_device(f"{before}{first}{behind}")
    checked_device(f"{before}{last}{behind}")
    width = len(first) if len(first) == len(last) else 0
    for number in range(int(first), int(last) + 1):
        yield f"{before}{number:0{width}}{behind}"


def _check_ends(entry: str, first: str, last: str) -> None:
    padded = any(end.startswith("0") and len(end) > 1 for end in (first, last))
    if padded and len(first) != len(last):
        raise DevicesError(f"{entry!r}: the ends of a padded range have one width")
    if int(last) < int(first):
        raise DevicesError(f"{entry!r} ends before it begins")
    if int(last) - int(first) >= MOST_DEVICES:
        raise DevicesError(f"{entry!r} has more than {MOST_DEVICES:,} devices")
