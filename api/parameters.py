"""The parameters of a question: declared as types, read from the query string, refused by name."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from flask import current_app, request
from msgspec import Meta, Struct
from werkzeug.datastructures import MultiDict

from api.formats import Format
from api.openapi.declaration import declaration_of
from api.problems import BadParameter
from api.times import Duration, Moment
from telemetry.reading import NAME_RULE, Name
from telemetry.store import Aggregate
from telemetry.worked_out import worked_out

MAX_TEXT = 1_000
"""The longest value of a parameter, in characters."""

_MAX_FIELDS = 64
MOMENT_RULE = "RFC 3339 (2026-01-31T12:00:00Z), epoch milliseconds, `now` or relative (-1h)"
_DURATION_RULE = "a number and a unit: 500ms, 10s, 5m, 1h, 2d"
_PATTERN = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

Parameters = TypeVar("Parameters", bound=Struct)


class FieldNames(Struct, frozen=True):
    """The fields asked for, in the order in which they were named."""

    names: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "FieldNames":
        """Read names that are separated by commas; ValueError where one is no name."""
        names = tuple(text.split(","))
        if len(names) > _MAX_FIELDS or not all(_PATTERN.fullmatch(name) for name in names):
            raise ValueError(text)
        return cls(names)


Site = Annotated[Name, Meta(description=NAME_RULE)]
Device = Annotated[Name, Meta(description=NAME_RULE)]
Measurement = Annotated[Name, Meta(description=NAME_RULE)]
Prefix = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.:-]{1,64}\Z",
        description="how names begin: 1 to 64 of A-Z a-z 0-9 _ . : -",
    ),
]
LastEventId = Annotated[
    str, Meta(pattern=r"^[0-9]{1,15}\Z", description="the id of an event of a stream")
]
Limit = Annotated[int, Meta(ge=1, description="a whole number of at least 1")]
Cursor = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{16,600}\Z",
        description="what `next` of an answer to the same question holds",
    ),
]
ReadingsLimit = Annotated[
    int,
    Meta(
        ge=1,
        description="a whole number of at least 1; without it JSON holds 1000, and CSV and NDJSON "
        "everything",
    ),
]
Points = Annotated[
    int, Meta(ge=1, description="in place of `every`: into about how many intervals, at least 1")
]

USUAL_LIMIT = 1_000


@worked_out
class NoParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Of a route that takes none."""


class ListParameters(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How many of a list, and from where on."""

    limit: Limit = 100
    cursor: Cursor | None = None


class SitesParameters(ListParameters, frozen=True, forbid_unknown_fields=True):
    """Which sites: all."""


class MeasurementsParameters(ListParameters, frozen=True, forbid_unknown_fields=True):
    """Which measurements: of a site, or all."""

    site: Site | None = None


class DevicesParameters(ListParameters, frozen=True, forbid_unknown_fields=True):
    """Which devices: of a site, in a state, with names that begin so."""

    site: Site | None = None
    state: Literal["online", "offline", "unknown"] | None = None
    prefix: Prefix | None = None


class LatestParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """The latest reading of each series: of which site, and how many."""

    site: Site | None = None
    limit: Limit = USUAL_LIMIT


class DeviceReadingsParameters(Struct, frozen=True, forbid_unknown_fields=True):
    """Which readings of a device, as they are or aggregated over intervals."""

    measurement: Measurement | None = None
    fields: Annotated[
        FieldNames | None, Meta(description=f"at most {_MAX_FIELDS} names, separated by commas")
    ] = None
    start: Annotated[Moment, Meta(description=MOMENT_RULE)] = Moment(-3_600_000, relative=True)
    stop: Annotated[Moment, Meta(description=MOMENT_RULE)] = Moment(0, relative=True)
    every: Annotated[Duration | None, Meta(description=_DURATION_RULE)] = None
    points: Points | None = None
    aggregate: Aggregate | None = None
    limit: ReadingsLimit | None = None
    order: Literal["asc", "desc"] = "asc"
    cursor: Cursor | None = None
    format: Annotated[
        Format | None, Meta(description="one of json, csv, ndjson; wins over the Accept header")
    ] = None


class ReadingsParameters(DeviceReadingsParameters, frozen=True, forbid_unknown_fields=True):
    """Which readings of the fleet, or of one site or device of it."""

    site: Site | None = None
    device: Device | None = None


def parameters(kind: type[Parameters]) -> Parameters:
    """Return the parameters of the request at hand; BadParameter names the one that is wrong."""
    declared = declaration_of(current_app.view_functions.get(request.endpoint or ""))
    if declared is None or (declared.parameters or NoParameters) is not kind:
        raise TypeError(f"{request.endpoint} does not declare that it reads {kind.__name__}")
    return read_parameters(kind, request.args)


def read_parameters(kind: type[Parameters], given: MultiDict[str, str]) -> Parameters:
    """Convert the text of a query string, held to the declared types."""
    texts = {name: _single(name, given) for name in given}
    for name in texts:
        if name not in kind.__struct_fields__:
            known = ", ".join(kind.__struct_fields__) or "none"
            raise BadParameter(name[:64], f"{name[:64]!r} is not a parameter here; known: {known}.")
    try:
        found = msgspec.convert(
            {name: _parsed(kind, name, text) for name, text in texts.items()}, kind, strict=False
        )
    except msgspec.ValidationError as error:
        name = str(error).rpartition("`$.")[2].rstrip("`")
        raise _refusal(kind, name, texts[name]) from error
    for name, text in texts.items():
        if getattr(found, name) is None:  # msgspec takes the text null for nothing; here it is odd
            raise _refusal(kind, name, text)
    return found


def at_most(name: str, value: int, most: int) -> int:
    """Return a value that is within a limit which only the settings know; else BadParameter."""
    if value > most:
        raise BadParameter(name, f"{name}={value}: at most {most} is allowed.")
    return value


def _single(name: str, given: MultiDict[str, str]) -> str:
    values = given.getlist(name)
    if len(values) > 1:
        raise BadParameter(name[:64], f"{name[:64]!r} is given {len(values)} times.")
    if len(values[0]) > MAX_TEXT:
        raise BadParameter(name[:64], f"{name[:64]!r} is longer than {MAX_TEXT} characters.")
    return values[0]


def _parsed(kind: type[Struct], name: str, text: str) -> object:
    parse = _parsers(kind).get(name)
    try:
        return parse(text) if parse is not None else text
    except ValueError as error:
        raise _refusal(kind, name, text) from error


def _refusal(kind: type[Struct], name: str, text: str) -> BadParameter:
    return BadParameter(name, f"{name}={text[:64]!r}: allowed is {_allowed(kind)[name]}.")


@lru_cache
def _parsers(kind: type[Struct]) -> dict[str, Callable[[str], object]]:
    """Return, per parameter that is more than a number or a text, what reads it."""
    found: dict[str, Callable[[str], object]] = {}
    for field in msgspec.structs.fields(kind):
        for parsed in (Moment, Duration, FieldNames):
            if parsed in _parts(field.type):
                found[field.name] = parsed.parse
    return found


def _parts(annotation: Any) -> set[Any]:
    return {annotation}.union(*(_parts(part) for part in get_args(annotation)))


@lru_cache
def _allowed(kind: type[Struct]) -> dict[str, str]:
    """Return, per parameter, what is allowed, in words."""
    return {field.name: _in_words(field.type) for field in msgspec.structs.fields(kind)}


def _in_words(annotation: Any) -> str:
    for meta in getattr(annotation, "__metadata__", ()):
        if meta.description:
            return str(meta.description)
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if parts and all(isinstance(part, str) for part in parts):
        return "one of " + ", ".join(parts)
    return _in_words(parts[0]) if parts else "text"
