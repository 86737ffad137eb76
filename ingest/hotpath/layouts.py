"""Layouts of native payloads: those that differ only in their values become lines in one step.

A device's payloads look alike: the same members in the same order, and other numbers each time. The
first one of a layout is decoded as any payload is. From it a regular expression is made that takes
such payloads and no others, and a template that makes their lines of what was found: no object is
made of a reading, and a number keeps the digits in which it came. For a reading of four numbers
that is 1.0 µs, in place of 5.0 µs to decode it and to write its line.

What no layout takes (a null, a text with an escape, a number of more than 15 digits) is no error:
it is decoded as any payload is.
"""

import re
import time
from typing import Any

import msgspec

from telemetry.lineprotocol import field_key

# Narrower than JSON, and than what a reading may hold, never wider. No time passes the greatest
# that nanoseconds can hold, and no number overflows.
_NUMBER = rb"(-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,17})?)"
_KINDS = {
    bool: rb"(true|false)",
    float: _NUMBER,
    int: _NUMBER,
    str: rb'("[ !#-\[\]-~]*")',  # printable ASCII without quotation mark and backslash
}
_MEMBERS = {
    "ts": rb"(0|[1-8][0-9]{0,12})",
    "boot": rb"(0|[1-8][0-9]{0,12})",
    "seq": rb"(0|[1-9][0-9]{0,17})",
}
_IDENTITY = {"boot", "seq"}
_FIELD = "="  # before the name of a field, which might be called as a member is
MOST_OF_ONE_TOPIC = 4
_MOST_LAYOUTS = 1_000
# Making one takes up to a millisecond: a device that never says the same twice must not have them
# made all the time.
_PAUSE_SECONDS = 0.02

_decode = msgspec.json.Decoder().decode


class Layout:
    """How one kind of payload looks, and how its lines do.

    `match` takes one reading from a place in a payload on. `order` are its groups as `template`
    wants them: the values, boot and number if it `counts`, the time.
    """

    __slots__ = ("counts", "match", "order", "template")

    def __init__(self, pattern: bytes, names: tuple[str, ...]) -> None:
        fields = [name for name in names if name.startswith(_FIELD)]
        identity = [name for name in ("boot", "seq") if name in names]
        self.match = re.compile(pattern).match
        self.order = tuple(names.index(name) + 1 for name in (*fields, *identity, "ts"))
        self.counts = bool(identity)
        members = [f"{field_key(name[1:])}=%b" for name in fields]
        members += [f"{name}=%bi" for name in identity]
        self.template = f"{','.join(members)} %b".encode()


class Layouts:
    """The layouts that were seen, shared by the devices that have them."""

    def __init__(self, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self._known: dict[bytes, Layout] = {}
        self._not_before_s = 0.0

    def of(self, payload: bytes) -> list[Layout]:
        """Return the layouts of a reading or of a pack's; empty where one of them has none.

        The payload may be of any format.
        """
        try:
            decoded = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return []
        examples = decoded if isinstance(decoded, list) else [decoded]
        separators = (b", ", b": ") if b'": ' in payload else (b",", b":")
        described = [_described(one, *separators) for one in examples]
        distinct = dict(one for one in described if one is not None)
        if None in described or len(distinct) > MOST_OF_ONE_TOPIC or not self._have_made(distinct):
            return []
        return [self._known[pattern] for pattern in distinct]

    def _have_made(self, described: dict[bytes, tuple[str, ...]]) -> bool:
        """Make the layouts that are not known yet, unless some were made only just now."""
        new = [pattern for pattern in described if pattern not in self._known]
        if new:
            now_s = time.monotonic()
            if now_s < self._not_before_s:
                return False
            self._not_before_s = now_s + self._pause_seconds
        for pattern in new:
            self._known[pattern] = Layout(pattern, described[pattern])
        while len(self._known) > _MOST_LAYOUTS:
            del self._known[next(iter(self._known))]
        return True


def _described(example: Any, comma: bytes, colon: bytes) -> tuple[bytes, tuple[str, ...]] | None:
    """Return the expression for what looks like an example, and the names of its groups."""

    def member(name: str, expression: bytes) -> bytes:
        return b'"' + re.escape(name.encode()) + b'"' + colon + expression

    names: list[str] = []
    members: list[bytes] = []
    try:
        for name, value in example.items():
            if name == "values":
                fields = [member(field, _KINDS[type(one)]) for field, one in value.items()]
                names += [_FIELD + field for field in value]
                members.append(member(name, rb"\{" + comma.join(fields) + rb"\}"))
            else:
                names.append(name)
                members.append(member(name, _MEMBERS[name]))
    except (KeyError, AttributeError):
        return None  # a null, a nested object, a member of other formats, or no object at all
    if "ts" not in names or len(_IDENTITY & set(names)) == 1:
        return None
    return rb"\{" + comma.join(members) + rb"\}", tuple(names)
