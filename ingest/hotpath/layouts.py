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
from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from telemetry.lineprotocol import field_key

# Narrower than JSON, and than what a reading may hold, never wider. No time passes the greatest
# that nanoseconds can hold, and no number overflows. Counts are possessive (`+` behind them): what
# follows is no digit, so that giving one back never helps, and remembering where takes a quarter.
_NUMBER = rb"(-?+(?:0|[1-9][0-9]{0,14}+)(?:\.[0-9]{1,17}+)?+)"
_KINDS = {
    bool: rb"(true|false)",
    float: _NUMBER,
    int: _NUMBER,
    str: rb'("[ !#-\[\]-~]*+")',  # printable ASCII without quotation mark and backslash
}
_MEMBERS = {
    "ts": rb"(0|[1-8][0-9]{0,12}+)",
    "boot": rb"(0|[1-8][0-9]{0,12}+)",
    "seq": rb"(0|[1-9][0-9]{0,17}+)",
}
_IDENTITY = ("boot", "seq")
_FIELD = "="  # before the name of a field, which might be called as a member is
_MOST_LAYOUTS = 1_000
# Making one takes up to a millisecond: a device that never says the same twice must not have them
# made all the time.
_PAUSE_SECONDS = 0.02

_decode = msgspec.json.Decoder().decode

Groups = tuple[bytes, ...]


class _Described(NamedTuple):
    """What a layout is made of: the names of its groups in order, and what is between them."""

    pattern: bytes
    names: tuple[str, ...]
    literal_bytes: int
    comma: bytes


class Layout:
    """How one kind of payload looks, and how its lines do.

    `match` takes one reading from a place in a payload on, and `find` those of a pack, each as a
    tuple of its groups. `order` says which groups `template` wants, and `pick` takes them out of
    such a tuple: the values, boot and number if it `counts`, and the time.
    """

    __slots__ = ("_described", "counts", "find", "match", "order", "pick", "template")

    def __init__(self, described: _Described) -> None:
        names = described.names
        fields = [name for name in names if name.startswith(_FIELD)]
        identity = [name for name in _IDENTITY if name in names]
        members = [f"{field_key(name[1:])}=%b" for name in fields]
        members += [f"{name}=%bi" for name in identity]
        places = [names.index(name) for name in (*fields, *identity, "ts")]
        begin = rb"(?:\A\[|" + described.comma + b")"
        self._described = described
        self.match = re.compile(described.pattern).match
        self.find: Callable[[bytes], list[Groups]]
        self.find = re.compile(begin + described.pattern).findall
        self.counts = bool(identity)
        self.order = tuple(place + 1 for place in places)
        self.pick: Callable[[Groups], Groups] = itemgetter(*places)
        self.template = f"{','.join(members)} %b".encode()

    def pack_bytes(self, readings: int) -> int:
        """Return how long a pack of so many readings is, without what is in their groups."""
        commas = (readings - 1) * len(self._described.comma)
        return len(b"[]") + commas + readings * self._described.literal_bytes


class Layouts:
    """The layouts that were seen, shared by the devices that have them."""

    def __init__(self, pause_seconds: float = _PAUSE_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self._known: dict[bytes, Layout] = {}
        self._not_before_s = 0.0

    def of(self, payload: bytes) -> Layout | None:
        """Return the layout of a reading or of all readings of a pack.

        None where they have none or several, and where another was made only just now; the payload
        may be of any format.
        """
        try:
            decoded = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        examples = decoded if isinstance(decoded, list) else [decoded]
        comma, colon = (b", ", b": ") if b'": ' in payload else (b",", b":")
        described = {_described(one, comma, colon) for one in examples}
        only = described.pop() if len(described) == 1 else None
        return None if only is None else self._made(only)

    def _made(self, described: _Described) -> Layout | None:
        layout = self._known.get(described.pattern)
        now_s = time.monotonic()
        if layout is None and now_s >= self._not_before_s:
            self._not_before_s = now_s + self._pause_seconds
            if len(self._known) == _MOST_LAYOUTS:
                del self._known[next(iter(self._known))]
            layout = self._known[described.pattern] = Layout(described)
        return layout


def _described(example: Any, comma: bytes, colon: bytes) -> _Described | None:
    """Return what a layout is made of that takes what looks like an example; None: there is none.

    So it is where a value is a null or an object, and where there are members of other formats.
    """
    names: list[str] = []
    members, literals = [], []
    try:
        for name, value in example.items():
            written = b'"%b"%b' % (name.encode(), colon)
            if name == "values":
                names += [_FIELD + field for field in value]
                fields = [b'"%b"%b' % (field.encode(), colon) for field in value]
                literals.append(written + b"{" + comma.join(fields) + b"}")
                kinds = [_KINDS[type(one)] for one in value.values()]
                inner = comma.join(map(b"".join, zip(map(re.escape, fields), kinds, strict=True)))
                members.append(re.escape(written) + rb"\{" + inner + rb"\}")
            else:
                names.append(name)
                literals.append(written)
                members.append(re.escape(written) + _MEMBERS[name])
    except (KeyError, AttributeError):
        return None
    if "ts" not in names or sum(name in names for name in _IDENTITY) == 1:
        return None
    pattern = rb"\{" + comma.join(members) + rb"\}"
    literal_bytes = len(b"{" + comma.join(literals) + b"}")
    return _Described(pattern, tuple(names), literal_bytes, comma)
