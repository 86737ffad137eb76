"""Fleet files: the groups of devices in TOML, checked by their types.

A mistake is named by file and key path (`demo.toml: groups[2].qos: …`), a mistake in the syntax by
file and line (`demo.toml:7: …`).
"""

import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import msgspec
from msgspec import Meta, Struct

from sensors.profiles import PROFILES
from telemetry.reading import NAME_RULE, Name

QoS = Literal[0, 1, 2]

INDEX_DIGITS = 5
_LONGEST_PREFIX = 64 - 1 - INDEX_DIGITS


class FleetError(Exception):
    """Raised when a fleet cannot be read or made; one line for a person."""


class FleetHead(Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[fleet]`."""

    name: Annotated[Name, Meta(description=f"a name: {NAME_RULE}")]
    seed: Annotated[int, Meta(description="a whole number; the same one gives the same readings")]


class Group(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[groups]]`: devices of one profile on one site."""

    name: Annotated[
        Annotated[Name, Meta(max_length=_LONGEST_PREFIX)] | None,
        Meta(description=f"the beginning of the devices' names, up to {_LONGEST_PREFIX} marks"),
    ] = None
    count: Annotated[int, Meta(ge=1, le=100_000, description="a whole number from 1 to 100000")]
    site: Annotated[Name, Meta(description=f"a name: {NAME_RULE}")]
    profile: Annotated[str, Meta(description=f"one of {', '.join(PROFILES)}")]
    qos: Annotated[
        QoS | Annotated[list[QoS], Meta(min_length=1)],
        Meta(description="0, 1, 2 or a list of them, dealt out in turn"),
    ] = 1
    period_ms: Annotated[
        int, Meta(ge=1, le=86_400_000, description="a whole number from 1 to 86400000")
    ] = 1000

    @property
    def prefix(self) -> str:
        """What the names of the devices begin with."""
        return self.name or self.profile

    @property
    def levels(self) -> list[QoS]:
        """The QoS levels that the devices are given in turn."""
        return self.qos if isinstance(self.qos, list) else [self.qos]


class FleetFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    fleet: FleetHead
    groups: Annotated[list[Group], Meta(min_length=1, description="at least one [[groups]]")]


def shipped_fleets() -> list[str]:
    """Return the names of the fleets that come with Denyut."""
    shipped = files("sensors.fleets").iterdir()
    return sorted(item.name[:-5] for item in shipped if item.name.endswith(".toml"))


def find_fleet(given: str) -> Path:
    """Return the file of a fleet, given by its path or by the name of a shipped one."""
    if given in shipped_fleets() and not Path(given).exists():
        return Path(str(files("sensors.fleets") / f"{given}.toml"))
    return Path(given)


def read_fleet_file(path: Path) -> FleetFile:
    """Read and check a fleet file; FleetError names the file, the key and what is allowed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise FleetError(
            f"{path}: {reason} (or name a shipped fleet: {', '.join(shipped_fleets())})"
        ) from error
    return parse_fleet(text, str(path))


def parse_fleet(text: str, source: str) -> FleetFile:
    """Check the text of a fleet file; `source` is its name in errors."""
    try:
        found = msgspec.convert(tomllib.loads(text), FleetFile)
    except tomllib.TOMLDecodeError as error:
        raise FleetError(_syntax(str(error), text, source)) from error
    except msgspec.ValidationError as error:
        raise FleetError(f"{source}: {_explained(str(error))}") from error
    _check_groups(found.groups, source)
    return found


def _check_groups(groups: list[Group], source: str) -> None:
    places: dict[str, int] = {}
    for place, group in enumerate(groups):
        if group.profile not in PROFILES:
            raise FleetError(
                f"{source}: groups[{place}].profile: {group.profile!r} is not "
                f"one of {', '.join(PROFILES)}"
            )
        other = places.setdefault(group.prefix, place)
        if other != place:
            raise FleetError(
                f"{source}: groups[{place}].name: {group.prefix!r} is groups[{other}]'s already, "
                "and device names are unique over the fleet"
            )


def _syntax(message: str, text: str, source: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", message)
    line = (place and place[1]) or text.count("\n") + 1
    return f"{source}:{line}: {message.split(' (at ')[0]}"


def _explained(message: str) -> str:
    what, _, path = message.partition(" - at `$")
    path = path.rstrip("`").lstrip(".")
    key = re.match(r"Object (contains unknown|missing required) field `(.*)`", what)
    if key:
        path = f"{path}.{key[2]}".lstrip(".")
        return f"{path}: {'not a known key' if key[1] == 'contains unknown' else 'is missing'}"
    what = what[0].lower() + what[1:].replace("`", "")
    if "matching regex" in what:
        what = "not a name"
    return f"{path or 'the file'}: {what}; allowed is {_allowed(path)}"


def _allowed(path: str) -> str:
    table: type[Struct] = FleetFile
    description = "what the README of sensors/ says"
    for key in re.findall(r"[a-z_]+", path):
        declared = next(
            (field for field in msgspec.structs.fields(table) if field.name == key), None
        )
        if declared is None:
            return description
        description = _description(declared.type) or f"a table [{key}]"
        table = _TABLES.get(key, table)
    return description


def _description(annotation: Any) -> str | None:
    metas = [meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, Meta)]
    return next((meta.description for meta in metas if meta.description), None)


_TABLES: dict[str, type[Struct]] = {"fleet": FleetHead, "groups": Group}

QOS_LEVELS: tuple[QoS, ...] = get_args(QoS)
