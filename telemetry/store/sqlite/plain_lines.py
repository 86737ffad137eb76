"""Lines that escape nothing, which are nearly all, on the short way to a row: values become JSON.

They are as `telemetry.lineprotocol.format_line` writes them, and ingest's hot path.
"""

from typing import NamedTuple

Types = tuple[tuple[str, type], ...]
"""The fields of a line, and the type of each."""

_BOOLEANS = ("true", "false")


class PlainLine(NamedTuple):
    """What a line says; `head` is its measurement and tags, `fields` its values as JSON."""

    head: str
    time_ms: int
    boot_ms: int | None
    seq: int | None
    fields: str
    types: Types


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
