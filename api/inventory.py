"""What there is: the sites with their devices, and the measurements with their fields."""

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from api.quantities import Count, Time
from api.roster import Device
from api.times import rfc3339
from telemetry.store import FieldType, Series, StoredField
from telemetry.units import UNITS

FieldTypeAnswer = Literal["number", "boolean", "text", "mixed"]


class SiteAnswer(Struct, frozen=True):
    """A site: its devices by state, what they measure, and when the last of them was heard."""

    site: str
    devices: Count
    online: Count
    offline: Count
    unknown: Count
    measurements: list[str]
    last_seen: Time | None


class FieldAnswer(Struct, frozen=True):
    """A field; `unit` is a code of UCUM, and null where none is known or a field is no quantity."""

    name: str
    type: FieldTypeAnswer
    unit: str | None


class MeasurementAnswer(Struct, frozen=True):
    """A measurement: how many devices have readings of it, at which sites, with which fields."""

    measurement: str
    devices: Count
    sites: list[str]
    fields: list[FieldAnswer]


def sites(devices: Iterable[Device]) -> list[SiteAnswer]:
    """Return every site that has devices, in order of names."""
    found: dict[str, list[Device]] = {}
    for device in devices:
        found.setdefault(device.site, []).append(device)
    return [_site(site, found[site]) for site in sorted(found)]


def measurements(
    series: Iterable[Series], fields: Iterable[StoredField], site: str | None
) -> list[MeasurementAnswer]:
    """Return every measurement that devices have readings of, at a site or at any; by name."""
    found: dict[str, list[Series]] = {}
    for one in series:
        if site in (None, one.site):
            found.setdefault(one.measurement, []).append(one)
    types: dict[str, dict[str, FieldType | Literal["mixed"]]] = {}
    for field in fields:
        known = types.setdefault(field.measurement, {})
        known[field.name] = "mixed" if field.name in known else field.type
    return [_measurement(name, found[name], types.get(name, {})) for name in sorted(found)]


def _site(site: str, devices: list[Device]) -> SiteAnswer:
    states = [device.state for device in devices]
    last_ms = max((device.last_ms or 0 for device in devices), default=0)
    return SiteAnswer(
        site=site,
        devices=len(devices),
        online=states.count("online"),
        offline=states.count("offline"),
        unknown=states.count("unknown"),
        measurements=sorted({name for device in devices for name in device.measurements}),
        last_seen=rfc3339(last_ms) if last_ms else None,
    )


def _measurement(
    name: str, series: list[Series], types: dict[str, FieldTypeAnswer]
) -> MeasurementAnswer:
    return MeasurementAnswer(
        measurement=name,
        devices=len({one.device for one in series}),
        sites=sorted({one.site for one in series}),
        fields=[FieldAnswer(field, types[field], UNITS.get(field)) for field in sorted(types)],
    )
