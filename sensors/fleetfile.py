"""Fleet files: the groups of devices in TOML, checked by their types and against each other.

Each mistake is named by file and key path (`demo.toml: groups[2].qos: …`), one in the syntax by
file and line (`demo.toml:7: …`).
"""

import re
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from random import Random
from typing import Annotated, Any, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta, Struct

from sensors.course import RunPlan, Stage
from sensors.habits import TEMPLATE_NAMES, Habits, PayloadTemplate
from sensors.mistakes import mistakes
from sensors.objectives import Objectives
from sensors.ownprofiles import ProfileTable, contradictions, made_profile
from sensors.profile import Measurement, Profile
from sensors.profiles import PROFILES
from telemetry.reading import NAME_RULE, Name
from telemetry.topics import TopicError, TopicTemplate

QoS = Literal[0, 1, 2]

Table = TypeVar("Table", bound=Struct)

INDEX_DIGITS = 5
_LONGEST_PREFIX = 64 - 1 - INDEX_DIGITS


class FleetError(Exception):
    """Raised when a fleet cannot be read or made; a line for a person for each mistake."""


class FleetHead(Struct, frozen=True, forbid_unknown_fields=True):
    """The table `[fleet]`."""

    name: Annotated[Name, Meta(description=f"a name: {NAME_RULE}")]
    seed: Annotated[int, Meta(description="a whole number; the same one gives the same readings")]


class Group(Habits, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One `[[groups]]`: devices of one profile on one site, with the habits of all of them."""

    name: Annotated[
        Annotated[Name, Meta(max_length=_LONGEST_PREFIX)] | None,
        Meta(description=f"the beginning of the devices' names, up to {_LONGEST_PREFIX} marks"),
    ] = None
    count: Annotated[
        Annotated[int, Meta(ge=1, le=100_000)] | None,
        Meta(description="a whole number from 1 to 100000"),
    ] = None
    first: Annotated[
        int, Meta(ge=0, le=99_999, description="the index of the first device, up to 99999")
    ] = 0
    devices: Annotated[
        Annotated[list[Name], Meta(min_length=1, max_length=100_000)] | None,
        Meta(description="a list of the devices' names, instead of count"),
    ] = None
    site: Annotated[Name, Meta(description=f"a name: {NAME_RULE}")]
    profile: Annotated[
        str, Meta(description=f"one of {', '.join(PROFILES)}, or of the file's [[profiles]]")
    ]
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
    def size(self) -> int:
        """How many devices the file says there are."""
        return len(self.devices) if self.devices is not None else self.count or 0

    def made_measurements(self, profile: Profile) -> list[Measurement]:
        """Return the measurements of their profile that the devices make."""
        wanted = self.measurements
        return [one for one in profile.measurements if wanted is None or one.name in wanted]

    @property
    def levels(self) -> list[QoS]:
        """The QoS levels that the devices are given in turn."""
        return self.qos if isinstance(self.qos, list) else [self.qos]


class FleetFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file."""

    fleet: FleetHead
    groups: Annotated[list[Group], Meta(min_length=1, description="at least one [[groups]]")]
    run: Annotated[RunPlan, Meta(description="a table [run]")] = RunPlan()
    stages: Annotated[
        list[Stage], Meta(max_length=1000, description="[[stages]], at most 1000")
    ] = []
    objectives: Annotated[Objectives, Meta(description="a table [objectives]")] = Objectives()
    profiles: Annotated[
        list[ProfileTable], Meta(max_length=100, description="[[profiles]], at most 100")
    ] = []

    @property
    def known_profiles(self) -> dict[str, Profile]:
        """The profiles that come along, and those of this file."""
        return PROFILES | {table.name: made_profile(table) for table in self.profiles}


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
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FleetError(_syntax(str(error), text, source)) from error
    said = [*mistakes(found, FleetFile), *_contradictions(found)]
    if found.get("stages") and "duration_s" in (found.get("run") or ()):
        said.append("run.duration_s: the stages say how long it takes")
    if said:
        raise FleetError("\n".join(f"{source}: {one}" for one in said))
    return msgspec.convert(found, FleetFile)


def _syntax(message: str, text: str, source: str) -> str:
    place = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)", message)
    line = (place and place[1]) or text.count("\n") + 1
    return f"{source}:{line}: {message.split(' (at ')[0]}"


def _contradictions(found: dict[str, Any]) -> Iterator[str]:
    """Yield what cannot be together in those tables whose keys are right one by one."""
    tables = [table for _, table in _right(found.get("profiles"), ProfileTable)]
    if len(tables) == len(found.get("profiles") or ()):
        yield from (f"{key}: {what}" for key, what in contradictions(tables))
    known = PROFILES | {table.name: made_profile(table) for table in tables}
    yield from _unknown_profiles(found, known)
    groups = dict(_right(found.get("groups"), Group))
    for place, group in groups.items():
        for key, what in _in_group(group, known.get(group.profile)):
            yield f"groups[{place}].{key}: {what}"
    yield from _in_names(groups)


def _right(found: Any, kind: type[Table]) -> Iterator[tuple[int, Table]]:
    """Yield those tables of a list that are as they should be, with their places."""
    for place, table in enumerate(found if isinstance(found, list) else ()):
        with suppress(msgspec.ValidationError):
            yield place, msgspec.convert(table, kind)


def _unknown_profiles(found: dict[str, Any], known: dict[str, Profile]) -> Iterator[str]:
    own = found.get("profiles")
    # One that has mistakes is known all the same.
    named = {one.get("name") for one in own or () if isinstance(one, dict)}
    groups = found.get("groups")
    for place, group in enumerate(groups if isinstance(groups, list) else ()):
        profile = group.get("profile") if isinstance(group, dict) else None
        if isinstance(profile, str) and profile not in known and profile not in named:
            yield f"groups[{place}].profile: {profile!r} is not one of {', '.join(known)}"


def _in_group(group: Group, profile: Profile | None) -> Iterator[tuple[str, str]]:
    yield from _in_number(group)
    if group.jitter_ms >= group.period_ms:
        yield "jitter_ms", f"{group.jitter_ms} is not below period_ms, {group.period_ms}"
    if group.pack > 1 and group.format != "native":
        yield "pack", f"packs are native, and format is {group.format}"
    yield from _in_faults(group)
    yield from _in_topic(group.topic)
    if profile is not None:
        yield from _in_measurements(group, profile)
        yield from _in_template(group, profile)


def _in_number(group: Group) -> Iterator[tuple[str, str]]:
    if group.devices is None and group.count is None:
        yield "count", "is missing"
    if group.devices is not None and group.count is not None:
        yield "devices", "count is there as well, and one of them is enough"


def _in_measurements(group: Group, profile: Profile) -> Iterator[tuple[str, str]]:
    known = [one.name for one in profile.measurements]
    for name in group.measurements or ():
        if name not in known:
            yield "measurements", f"{name!r} is not one of {group.profile}'s: {', '.join(known)}"


def _in_faults(group: Group) -> Iterator[tuple[str, str]]:
    for place, plan in enumerate(group.faults):
        wrong = plan.contradiction()
        if wrong is not None:
            yield f"faults[{place}].{wrong[0]}", wrong[1]


def _in_topic(topic: str) -> Iterator[tuple[str, str]]:
    try:
        template = TopicTemplate.parse(topic)
        if "{device}" not in template.levels:
            yield "topic", "without {device} the devices share one topic"
        elif template.format == "value":
            yield "topic", "a device sends whole readings, not bare values"
    except TopicError as error:
        yield "topic", str(error)


def _in_template(group: Group, profile: Profile) -> Iterator[tuple[str, str]]:
    if (group.template is None) != (group.format != "template"):
        yield "template", f"format is {group.format}"
        return
    if group.template is None:
        return
    template = PayloadTemplate(group.template)
    if not template.is_valid():
        yield "template", "a $ that begins no name is written $$"
        return
    for measurement in group.made_measurements(profile):
        known = {*TEMPLATE_NAMES, *measurement.fields(Random(0))}  # noqa: S311  names alone
        unknown = sorted(set(template.get_identifiers()) - known)
        if unknown:
            yield "template", f"{measurement.name} has no field {', '.join(unknown)}"


def _in_names(groups: dict[int, Group]) -> Iterator[str]:
    prefixes: dict[str, int] = {}
    names: dict[str, int] = {}
    for place, group in groups.items():
        if group.devices is None:
            other = prefixes.setdefault(group.prefix, place)
            if other != place:
                yield (
                    f"groups[{place}].name: {group.prefix!r} is groups[{other}]'s already, "
                    "and device names are unique over the fleet"
                )
    for place, group in groups.items():
        for name in group.devices or ():
            if name in names or _is_made(name, prefixes):
                yield f"groups[{place}].devices: {name!r} is there already"
            names[name] = place


def _is_made(name: str, prefixes: dict[str, int]) -> bool:
    prefix, _, index = name.rpartition("-")
    return prefix in prefixes and len(index) == INDEX_DIGITS and index.isdecimal()


QOS_LEVELS: tuple[QoS, ...] = get_args(QoS)
