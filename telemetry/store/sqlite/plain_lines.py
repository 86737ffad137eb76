"""Lines that escape nothing, which are nearly all, on the short way to a row: values become JSON.

They are as `telemetry.lineprotocol.format_line` writes them, and ingest's hot path. A series' lines
have the same fields one after the other, so that from the first one a shape is made which reads the
next ones in one step: of 5.9 µs a line that the store took 4.4 are left.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

Types = tuple[tuple[str, type], ...]
"""The fields of a line, and the type of each."""

_BOOLEANS = ("true", "false")
_KINDS: dict[type, str] = {float: r"(-?[0-9]+\.[0-9]+)", bool: "(true|false)"}
_INTEGER = "([0-9]{1,19})"
_MOST_SHAPES = 1_000


class PlainLine(NamedTuple):
    """What a line says; `head` is its measurement and tags, `fields` its values as JSON."""

    head: str
    time_ms: int
    boot_ms: int | None
    seq: int | None
    fields: str
    types: Types


class Shape(NamedTuple):
    """How lines of the same fields look behind their head, where each has a boot and a number.

    `match` takes a line and where its head ends, for the values, boot, number and time; `template`
    makes JSON of the values.
    """

    match: Callable[[str, int], re.Match[str] | None]
    template: str


@lru_cache(_MOST_SHAPES)
def shape_of(types: Types) -> Shape:
    """Return the shape of lines with these fields."""
    fields = ",".join(f"{re.escape(name)}={_KINDS[kind]}" for name, kind in types)
    pattern = f" {fields},boot={_INTEGER}i,seq={_INTEGER}i {_INTEGER}"
    members = ",".join('"' + name.replace("%", "%%") + '":%s' for name, _kind in types)
    return Shape(re.compile(pattern, re.ASCII).fullmatch, f"{{{members}}}")


def read_plain(line: str) -> PlainLine | None:
    """Return what a line says, None where it is not plain: then it is read the long way."""
    if '"' in line or "\\" in line:
        return None
    try:
        head, fields, time_ms = line.split(" ")
        fields, _, seq = fields.partition(",seq=")
        fields, _, boot_ms = fields.partition(",boot=")
        members, types = [], []
        for field in fields.split(","):
            name, text = field.split("=")
            is_boolean = text in _BOOLEANS
            types.append((name, bool if is_boolean else float))
            members.append(f'"{name}":{text if is_boolean else _number(text)}')
        values = f"{{{','.join(members)}}}"
        return PlainLine(head, int(time_ms), _integer(boot_ms), _integer(seq), values, tuple(types))
    except ValueError:
        return None


def _number(text: str) -> str:
    """Return a number as JSON that is read as a float; ValueError where it is an integer's."""
    if "." in text:
        return text
    return repr(float(text))


def _integer(text: str) -> int | None:
    if not text:
        return None
    if not text.endswith("i"):
        raise ValueError(text)
    return int(text[:-1])
