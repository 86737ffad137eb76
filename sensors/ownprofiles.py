"""Profiles of one's own: measurements and fields that a fleet file describes by their signals."""

from collections.abc import Iterator
from functools import partial
from math import inf
from random import Random
from typing import Annotated

from msgspec import Meta, Struct

from sensors.profile import Fields, Measurement, Profile
from sensors.profiles import PROFILES
from sensors.signals import Sensor
from sensors.signaltables import AnySignal, ByStateTable, InStateTable, Kind, StatesTable
from telemetry.reading import MAX_FIELDS, NAME_RULE, FieldName, Name

Wrong = tuple[str, str]
"""A key path and what is wrong there."""


class FieldTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[profiles.measurements.fields]]`: what a sensor shows of its signals, added up."""

    name: Annotated[
        FieldName, Meta(description=f"a name, not time, site, device, boot or seq: {NAME_RULE}")
    ]
    signals: Annotated[
        list[AnySignal], Meta(min_length=1, max_length=20, description="a list of 1 to 20 signals")
    ]
    least: Annotated[float | None, Meta(description="a number")] = None
    most: Annotated[float | None, Meta(description="a number")] = None
    digits: Annotated[
        Annotated[int, Meta(ge=0, le=12)] | None,
        Meta(description="decimal places, from 0 to 12; without it all"),
    ] = None

    @property
    def kind(self) -> Kind:
        """What its values are."""
        return self.signals[0].kind


class MeasurementTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[profiles.measurements]]`."""

    name: Annotated[Name, Meta(description=f"a name: {NAME_RULE}")]
    every: Annotated[
        int, Meta(ge=1, le=100_000, description="at each how many-th period it is made")
    ] = 1
    fields: Annotated[
        list[FieldTable],
        Meta(min_length=1, max_length=MAX_FIELDS, description="[[profiles.measurements.fields]]"),
    ]


class ProfileTable(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[profiles]]`: a kind of device."""

    name: Annotated[Name, Meta(description=f"a name: {NAME_RULE}")]
    about: Annotated[str, Meta(max_length=200, description="up to 200 marks")] = ""
    measurements: Annotated[
        list[MeasurementTable],
        Meta(min_length=1, max_length=50, description="[[profiles.measurements]], 1 to 50"),
    ]


def made_profile(table: ProfileTable) -> Profile:
    """Return the profile that a table describes."""
    return Profile(
        table.name,
        table.about,
        tuple(
            Measurement(one.name, partial(_fields, one.fields), one.every)
            for one in table.measurements
        ),
    )


def _fields(tables: list[FieldTable], random: Random) -> Fields:
    fields: Fields = {}
    for table in tables:
        signals = [one.make(random) for one in table.signals]
        if table.kind == "number":
            least = -inf if table.least is None else table.least
            most = inf if table.most is None else table.most
            fields[table.name] = Sensor(*signals, least=least, most=most, digits=table.digits)  # type: ignore[arg-type]  # their kind is number
        else:
            (fields[table.name],) = signals
    return fields


def contradictions(profiles: list[ProfileTable]) -> Iterator[Wrong]:
    """Yield what cannot be together in profiles whose keys are right one by one."""
    seen = set(PROFILES)
    for place, profile in enumerate(profiles):
        path = f"profiles[{place}]"
        if profile.name in seen:
            yield f"{path}.name", f"there is a profile {profile.name!r} already"
        seen.add(profile.name)
        names: set[str] = set()
        for number, measurement in enumerate(profile.measurements):
            at = f"{path}.measurements[{number}]"
            if measurement.name in names:
                yield f"{at}.name", f"there is a measurement {measurement.name!r} already"
            names.add(measurement.name)
            for key, what in _in_measurement(measurement):
                yield f"{at}.{key}", what


def _in_measurement(measurement: MeasurementTable) -> Iterator[Wrong]:
    before: dict[str, FieldTable] = {}
    for place, field in enumerate(measurement.fields):
        path = f"fields[{place}]"
        if field.name in before:
            yield f"{path}.name", f"there is a field {field.name!r} already"
        for key, what in (*_in_field(field), *_in_signals(field, before)):
            yield f"{path}.{key}", what
        before[field.name] = field


def _in_field(field: FieldTable) -> Iterator[Wrong]:
    alone = [signal for signal in field.signals if signal.kind != "number"]
    if alone and len(field.signals) > 1:
        yield "signals", "a state or a truth stands alone, it cannot be added up"
    for key in ("least", "most", "digits"):
        if alone and getattr(field, key) is not None:
            yield key, "is for numbers"
    if field.least is not None and field.most is not None and field.least > field.most:
        yield "most", f"{field.most:g} is below least, {field.least:g}"


def _in_signals(field: FieldTable, before: dict[str, FieldTable]) -> Iterator[Wrong]:
    for place, signal in enumerate(field.signals):
        path = f"signals[{place}]"
        wrong = signal.contradiction()
        if wrong is not None:
            yield f"{path}.{wrong[0]}", wrong[1]
        for key, name in signal.numbers.items():
            if name not in before or before[name].kind != "number":
                yield f"{path}.{key}", f"no field {name!r} with numbers stands before it"
        if isinstance(signal, ByStateTable | InStateTable):
            yield from ((f"{path}.{key}", what) for key, what in _of_states(signal, before))


def _of_states(
    signal: ByStateTable | InStateTable, before: dict[str, FieldTable]
) -> Iterator[Wrong]:
    found = before.get(signal.field)
    states = found.signals[0] if found is not None else None
    if not isinstance(states, StatesTable):
        yield "field", f"no field {signal.field!r} with states stands before it"
    elif isinstance(signal, InStateTable):
        if signal.state not in states.stays_s:
            yield "state", f"{signal.state!r} is not one of {', '.join(states.stays_s)}"
    elif signal.values.keys() != states.stays_s.keys():
        yield "values", f"one for each of {', '.join(states.stays_s)} is allowed"
