from random import Random

import pytest

from sensors.profiles import PROFILES
from telemetry.units import UNITLESS, UNITS

FIELDS = sorted(
    {
        name
        for profile in PROFILES.values()
        for measurement in profile.measurements
        for name in measurement.fields(Random(0))
    }
)


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_of_a_ready_profile_has_a_unit_or_is_unitless_on_purpose(field: str) -> None:
    assert (field in UNITS) != (field in UNITLESS)


def test_no_unit_is_of_a_field_that_is_gone() -> None:
    assert {*UNITS, *UNITLESS} == {*FIELDS}
