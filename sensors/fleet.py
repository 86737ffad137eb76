"""The devices of a fleet: its groups dealt out, scaled to a number where one is asked for."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from sensors.course import RunPlan, Stage
from sensors.fleetfile import INDEX_DIGITS, QOS_LEVELS, FleetError, FleetFile, Group, QoS
from sensors.habits import PLAIN, Habits
from sensors.objectives import Objectives
from sensors.profile import Profile

QosChoice = Literal["0", "1", "2", "mixed"]

MOST_PERIODS_PER_SECOND = 100_000
"""What nobody's processor does: the loop alone takes more than 10 µs for each."""

_MOST_NAMES = 10**INDEX_DIGITS


class Device(Struct, frozen=True):
    """One device as the fleet file describes it; `spread_ms` is when in a period it is due."""

    name: str
    site: str
    profile: Profile
    qos: QoS
    period_ms: int
    spread_ms: int
    habits: Habits = PLAIN


class Fleet(Struct, frozen=True):
    """All devices, in the order of their groups."""

    name: str
    seed: int
    devices: list[Device]
    run: RunPlan = RunPlan()
    stages: list[Stage] = []
    objectives: Objectives = Objectives()


def make_fleet(
    described: FleetFile,
    *,
    devices: int | None = None,
    qos: QosChoice | None = None,
    seed: int | None = None,
    slot: int = 1,
) -> Fleet:
    """Return the fleet of a file, with what a command line changes.

    `devices` scales the groups to exactly that number together. Of several processes each has a
    slot, from 1: their devices are as many and alike, but none has the name of another's. Raises
    FleetError where there are too few devices for the fleet's QoS levels, or too many for a name.
    """
    groups = _at_qos(described.groups, qos)
    wanted = {level for group in groups for level in group.levels}
    counts = _counts(groups, devices)
    _check_names(groups, counts, slot)
    made = _deal(groups, counts, slot, described.known_profiles)
    if not made:
        raise FleetError(f"slot {slot} has no devices: those listed by name are in slot 1")
    missing = wanted - {device.qos for device in made}
    if devices is not None and missing:
        raise FleetError(
            f"{devices} devices are too few: none is left at QoS {', '.join(map(str, missing))}"
        )
    _check_rate(made, described.stages)
    head = described.fleet
    return Fleet(
        head.name,
        head.seed if seed is None else seed,
        made,
        described.run,
        described.stages,
        described.objectives,
    )


def device_names(
    described: FleetFile,
    *,
    devices: int | None = None,
    qos: QosChoice | None = None,
    slots: int = 1,
) -> list[str]:
    """Return the names of the devices of so many slots; raises FleetError like `make_fleet`."""
    _check_names(described.groups, _counts(described.groups, devices), slots)
    return [
        device.name
        for slot in range(1, slots + 1)
        for device in make_fleet(described, devices=devices, qos=qos, slot=slot).devices
    ]


def name_ranges(described: FleetFile, *, devices: int | None = None, slots: int = 1) -> list[str]:
    """Return the names of the devices of so many slots, a range `prefix-{00000..00499}` a group.

    Both ends are included. Raises FleetError like `make_fleet`.
    """
    groups = described.groups
    counts = _counts(groups, devices)
    _check_names(groups, counts, slots)
    names: list[str] = []
    for group, count in zip(groups, counts, strict=True):
        if group.devices is not None:
            names += group.devices
        elif count:
            last = group.first + slots * count - 1
            names.append(f"{group.prefix}-{{{_digits(group.first)}..{_digits(last)}}}")
    return names


def scaled_counts(counts: Sequence[int], total: int) -> list[int]:
    """Scale counts in proportion so that they add up to `total`.

    What rounding leaves over goes to the largest remainders; a group that would vanish takes one
    device from the largest group, while there are devices for all.
    """
    whole = sum(counts)
    shares = [total * count / whole for count in counts]
    scaled = [total * count // whole for count in counts]
    by_remainder = sorted(
        range(len(counts)), key=lambda place: (scaled[place] - shares[place], place)
    )
    for place in by_remainder[: total - sum(scaled)]:
        scaled[place] += 1
    if total >= len(counts):
        for place in [place for place, count in enumerate(scaled) if count == 0]:
            scaled[scaled.index(max(scaled))] -= 1
            scaled[place] = 1
    return scaled


def _at_qos(groups: list[Group], qos: QosChoice | None) -> list[Group]:
    if qos is None:
        return groups
    levels = list(QOS_LEVELS) if qos == "mixed" else [QOS_LEVELS[int(qos)]]
    return [msgspec.structs.replace(group, qos=levels) for group in groups]


def _counts(groups: list[Group], devices: int | None) -> list[int]:
    counts = [group.size for group in groups]
    if devices is None:
        return counts
    # Who is listed by name is there as often as that; the others are scaled.
    listed = sum(group.size for group in groups if group.devices is not None)
    others = [group.size for group in groups if group.devices is None]
    if devices < listed or (devices > listed and not others):
        raise FleetError(f"{devices} devices: {listed} are listed by name, and cannot be scaled")
    scaled = iter(scaled_counts(others, devices - listed) if others else ())
    return [group.size if group.devices is not None else next(scaled) for group in groups]


def _check_names(groups: list[Group], counts: list[int], slot: int) -> None:
    for group, count in zip(groups, counts, strict=True):
        if group.devices is None and group.first + slot * count > _MOST_NAMES:
            raise FleetError(
                f"{group.prefix}: {count} devices in each of {slot} slots are more than the "
                f"{_MOST_NAMES - group.first} names from {_name(group, group.first)} to "
                f"{_name(group, _MOST_NAMES - 1)}"
            )


def _name(group: Group, index: int) -> str:
    return f"{group.prefix}-{_digits(index)}"


def _digits(index: int) -> str:
    return f"{index:0{INDEX_DIGITS}d}"


def _check_rate(devices: list[Device], stages: list[Stage]) -> None:
    fastest = max((stage.rate for stage in stages), default=1.0)
    rate = fastest * sum(1000 / device.period_ms for device in devices)
    if rate > MOST_PERIODS_PER_SECOND:
        raise FleetError(
            f"{len(devices)} devices would be due {rate:,.0f} times a second, and no process makes "
            f"more than {MOST_PERIODS_PER_SECOND:,}: a longer period_ms, or several slots"
        )


def _names(group: Group, count: int, slot: int) -> list[str]:
    if group.devices is not None:
        # A name is there once: the first of several processes has those that are listed.
        return group.devices if slot == 1 else []
    begin = group.first + (slot - 1) * count
    return [_name(group, index) for index in range(begin, begin + count)]


def _deal(
    groups: list[Group], counts: list[int], slot: int, profiles: dict[str, Profile]
) -> list[Device]:
    made: list[Device] = []
    for group, count in zip(groups, counts, strict=True):
        # Dealing goes on where the last group ended: small groups would all begin at level 0.
        dealt = len(made)
        levels = group.levels
        names = _names(group, count, slot)
        profile = profiles[group.profile]
        made_here = tuple(group.made_measurements(profile))
        profile = msgspec.structs.replace(profile, measurements=made_here)
        for index, name in enumerate(names):
            made.append(
                Device(
                    name=name,
                    site=group.site,
                    profile=profile,
                    qos=levels[(dealt + index) % len(levels)],
                    period_ms=group.period_ms,
                    spread_ms=index * group.period_ms // count,
                    habits=group,
                )
            )
    return made
