"""InfluxDB's line protocol, written and read.

Rules: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/. In a measurement,
commas and spaces are escaped; in tags and field keys equals signs too; in a text, quotes and
backslashes. A text may hold newlines, so a point may cover several physical lines.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from math import isfinite

from msgspec import Struct

from telemetry.reading import Reading, Value

NS_PER_MS = 1_000_000

_KNOWN_SERIES = 100_000

_KEY = r"(?:\\.|[^,= \n\\])+"
_MEASUREMENT = r"(?:\\.|[^, \n\\])+"
_TEXT = r'"(?:\\[\s\S]|[^"\\])*"'
_FIELD = rf'{_KEY}=(?:{_TEXT}|[^,\s"]+)'
_POINT = re.compile(
    rf"[ \t\r]*(?P<measurement>{_MEASUREMENT})(?P<tags>(?:,{_KEY}={_KEY})*)"
    rf"[ \t]+(?P<fields>{_FIELD}(?:,{_FIELD})*)"
    r"(?:[ \t]+(?P<time>-?\d{1,19}))?[ \t\r]*(?:\n|\Z)"
)
_TAG_PAIR = re.compile(rf",(?P<key>{_KEY})=(?P<value>{_KEY})")
_FIELD_PAIR = re.compile(rf'(?P<key>{_KEY})=(?P<value>{_TEXT}|[^,\s"]+)')
_EMPTY = re.compile(r"[ \t\r]*(?:#[^\n]*)?(?:\n|\Z)")
_FLOAT = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?\Z")
_INTEGER = re.compile(r"[-+]?\d{1,20}[iu]\Z")
_COMMA, _EQUALS = re.compile(r"(?<!\\),"), re.compile(r"(?<!\\)=")
_ESCAPED_KEY = re.compile(r"\\([,= ])")
_ESCAPED_TEXT = re.compile(r'\\(["\\])')
_BOOLEANS = dict.fromkeys(("t", "T", "true", "True", "TRUE"), True) | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), False
)


class LineProtocolError(ValueError):
    """Raised when a line is malformed, or a reading cannot be written as one."""


class Point(Struct, frozen=True):
    """A line as it was read; integers stay `int`, and the time is as written (None: not there)."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, int | Value]
    time: int | None


class BadLine(Struct, frozen=True):
    """A line that is no point, and why."""

    text: str
    reason: str


def format_line(reading: Reading) -> str:
    """Write a reading as one line without its newline; the time is in milliseconds.

    Raises LineProtocolError for what line protocol cannot carry (a newline in a name, NaN).
    """
    fields = []
    # Most values by far are numbers, then booleans: these are written here, without a call.
    for name, value in reading.values.items():
        if value.__class__ is float and isfinite(value):
            fields.append(f"{field_key(name)}={value!r}")
        elif value.__class__ is bool:
            fields.append(f"{field_key(name)}={'true' if value else 'false'}")
        else:
            fields.append(f"{field_key(name)}={_other_value(name, value)}")
    if reading.boot_ms is not None:
        fields.append(f"boot={reading.boot_ms}i")
    if reading.seq is not None:
        fields.append(f"seq={reading.seq}i")
    key = series_key(reading.measurement, reading.device, reading.site)
    return f"{key} {','.join(fields)} {reading.time_ms}"


def parse_lines(text: str) -> Iterator[Point | BadLine]:
    """Yield the points of a text; a malformed line is named and passed over."""
    position = 0
    while position < len(text):
        empty = _EMPTY.match(text, position)
        if empty:
            position = empty.end()
            continue
        match = _POINT.match(text, position)
        if match is None:
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
            yield BadLine(text[position:end], "not line protocol")
            position = end + 1
        else:
            yield _point(match)
            position = match.end()


def parse_readings(text: str) -> list[Reading]:
    """Return the readings that `format_line` wrote, each with a newline behind it.

    LineProtocolError where one is none. Lines without a quotation mark or a backslash, which are
    most, are cut at their commas; that takes a fifth of the time of looking for escapes.
    """
    readings: list[Reading] = []
    position = 0
    while position < len(text):
        end = text.index("\n", position)
        line = text[position:end]
        if '"' not in line and "\\" not in line:
            readings.append(_plain_reading(line))
            position = end + 1
        else:
            match = _POINT.match(text, position)
            readings.append(_reading(_point(match) if match else BadLine(line, "not a line")))
            position = match.end() if match else end + 1
    return readings


@lru_cache(_KNOWN_SERIES)
def series_key(measurement: str, device: str, site: str) -> str:
    """Return how the lines of a series begin. Raises LineProtocolError where none can."""
    if measurement.startswith("#"):
        raise LineProtocolError(f"{measurement!r} would make the line a comment")
    # Tags sorted by key, as InfluxDB stores them: it need not sort them again.
    return (
        f"{_escape(measurement, ', ')},device={_escape(device, ',= ')},site={_escape(site, ',= ')}"
    )


def parse_series_key(key: str) -> tuple[str, dict[str, str]]:
    """Return the measurement and the tags of a series, as InfluxDB tells it."""
    measurement, *tags = _COMMA.split(key)
    pairs = (_EQUALS.split(tag, maxsplit=1) for tag in tags)
    return _unescape(measurement), {_unescape(name): _unescape(value) for name, value in pairs}


def _escape(name: str, special: str) -> str:
    if not name or not name.isprintable() or "\\" in name:
        raise LineProtocolError(f"{name!r} cannot be a name in line protocol")
    for character in special:
        name = name.replace(character, f"\\{character}")
    return name


@lru_cache(_KNOWN_SERIES)
def field_key(name: str) -> str:
    """Return a field's name as lines have it. Raises LineProtocolError where none can."""
    return _escape(name, ",= ")


def _other_value(name: str, value: Value) -> str:
    """Write a text, or a number that is no float yet; refuse NaN and infinity."""
    if isinstance(value, str):
        if not _is_utf_8(value):
            raise LineProtocolError(f"{name} is not a text that UTF-8 can carry")
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    number = float(value)
    if not isfinite(number):
        raise LineProtocolError(f"{name}={value} is not a number that can be stored")
    return repr(number)


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _point(match: re.Match[str]) -> Point | BadLine:
    try:
        tags = {
            _unescape(pair["key"]): _unescape(pair["value"])
            for pair in _TAG_PAIR.finditer(match["tags"])
        }
        fields = {
            _unescape(pair["key"]): _value(pair["value"])
            for pair in _FIELD_PAIR.finditer(match["fields"])
        }
    except LineProtocolError as error:
        return BadLine(match[0].rstrip("\n"), str(error))
    time = int(match["time"]) if match["time"] else None
    return Point(_unescape(match["measurement"]), tags, fields, time)


def _plain_reading(line: str) -> Reading:
    """Return the reading of a line that escapes nothing."""
    try:
        head, fields, time_ms = line.split(" ")
        measurement, device, site = head.split(",")
        values = {
            name: _value(text) for name, text in (one.split("=") for one in fields.split(","))
        }
        boot_ms, seq = values.pop("boot", None), values.pop("seq", None)
        return Reading(
            site.removeprefix("site="),
            device.removeprefix("device="),
            measurement,
            int(time_ms),
            values,
            None if boot_ms is None else int(boot_ms),
            None if seq is None else int(seq),
        )
    except ValueError as error:
        raise LineProtocolError(f"{line[:64]!r} is not a reading of ours") from error


def _reading(point: Point | BadLine) -> Reading:
    if isinstance(point, BadLine):
        raise LineProtocolError(f"{point.reason}: {point.text[:64]!r}")
    boot_ms, seq = point.fields.pop("boot", None), point.fields.pop("seq", None)
    if point.time is None or not {"site", "device"} <= point.tags.keys():
        raise LineProtocolError(f"a point of {point.measurement} is not a reading of ours")
    return Reading(
        point.tags["site"],
        point.tags["device"],
        point.measurement,
        point.time,
        point.fields,
        None if boot_ms is None else int(boot_ms),
        None if seq is None else int(seq),
    )


def _unescape(text: str) -> str:
    return _ESCAPED_KEY.sub(r"\1", text)


def _value(text: str) -> int | Value:
    if text.startswith('"'):
        return _ESCAPED_TEXT.sub(r"\1", text[1:-1])
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.match(text):
        return int(text[:-1])
    if _FLOAT.match(text):
        number = float(text)
        if isfinite(number):
            return number
    raise LineProtocolError(f"{text[:64]!r} is not a value")
