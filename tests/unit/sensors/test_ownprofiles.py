"""Profiles of one's own: what their signals give, and what is said about mistakes in them."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from sensors.fleet import make_fleet
from sensors.fleetfile import FleetError, parse_fleet
from sensors.signaltables import AnySignal
from sensors.source import ReadingSource
from telemetry.payload.native import decode_native
from telemetry.reading import Address, Value

HEAD = '[fleet]\nname = "own"\nseed = 3\n'
PROFILE = '[[profiles]]\nname = "mine"\n[[profiles.measurements]]\nname = "m"\n'
GROUP = '[[groups]]\nname = "d"\ncount = {count}\nsite = "s"\nprofile = "mine"\n'
FIELD = '[[profiles.measurements.fields]]\nname = "{name}"\nsignals = [{signals}]\n'
DAY_MS = 86_400_000


def fields(**signals: str) -> str:
    return "".join(FIELD.format(name=name, signals=told) for name, told in signals.items())


def fleet_of(described: str, count: int = 1) -> str:
    return HEAD + PROFILE + described + GROUP.format(count=count)


def readings(
    described: str, *, count: int = 1, times: int = 100, step_ms: int = 60_000
) -> Iterator[dict[str, Value]]:
    """Yield the values of readings, one device after another."""
    for device in make_fleet(parse_fleet(fleet_of(described, count), "own.toml")).devices:
        source = ReadingSource(device, seed=3, boot_ms=0)
        for number in range(times):
            (message,) = source.readings(number * step_ms)
            yield decode_native(message.payload, Address("s", "d", "m"), 0).readings[0].values


def column(described: str, name: str, **told: int) -> list[float]:
    found = [values[name] for values in readings(described, **told)]
    return [value for value in found if isinstance(value, float)]


def mistakes_of(described: str) -> list[str]:
    with pytest.raises(FleetError) as caught:
        parse_fleet(fleet_of(described), "own.toml")
    return [line.removeprefix("own.toml: ") for line in str(caught.value).splitlines()]


def test_signals_are_added_up_and_kept_within_what_the_sensor_shows() -> None:
    told = fields(
        x='{ signal = "daily", mean = 20, amplitude = 5, peak_hour = 14, utc_offset_hours = 0 }, '
        '{ signal = "constant", value = 100 }'
    )
    found = column(told, "x", times=24, step_ms=DAY_MS // 24)
    assert found.index(max(found)) == 14
    assert max(found) == pytest.approx(125)
    bounded = column(told + "least = 117\nmost = 123.456\ndigits = 1\n", "x", times=24)
    assert set(bounded) <= {round(value / 10, 1) for value in range(1170, 1236)}


def test_devices_of_a_profile_differ_and_each_is_the_same_in_every_run() -> None:
    told = fields(x='{ signal = "own", deviation = 2 }')
    found = column(told, "x", count=200, times=1)
    assert statistics.stdev(found) == pytest.approx(2, rel=0.2)
    assert column(told, "x", count=200, times=1) == found
    assert len(set(column(told, "x", times=50))) == 1


def test_fields_go_together() -> None:
    told = fields(
        temperature='{ signal = "constant", value = 20 }',
        humidity='{ signal = "follow", field = "temperature", times = 2, plus = 10 }',
        dew_point='{ signal = "dew-point", temperature = "temperature", humidity = "humidity" }',
        work='{ signal = "integral", field = "temperature", per_s = 60 }',
        slow='{ signal = "follow", field = "work", lag_s = 600 }',
    )
    *_, last = readings(told, times=11)
    assert (last["humidity"], last["work"]) == (50.0, 200.0)
    assert last["dew_point"] == pytest.approx(9.26, abs=0.01)
    assert isinstance(last["slow"], float)
    assert 0 < last["slow"] < 200


def test_states_have_numbers_and_truths() -> None:
    told = fields(
        vent='{ signal = "states", stays_s = { shut = 600, open = 300 } }',
        is_open='{ signal = "in-state", field = "vent", state = "open" }',
        power='{ signal = "by-state", field = "vent", values = { shut = 0, open = 1.5 } }',
    )
    found = list(readings(told, times=2_000))
    assert {values["vent"] for values in found} == {"shut", "open"}
    for values in found:
        assert values["is_open"] == (values["vent"] == "open")
        assert values["power"] == (1.5 if values["is_open"] else 0.0)
    is_open = [values["is_open"] for values in found]
    assert is_open.count(True) / len(is_open) == pytest.approx(1 / 3, abs=0.12)


@pytest.mark.parametrize(
    ("told", "least", "most"),
    [
        ('{ signal = "weekly", levels = [1, 1, 1, 1, 1, 0, 0] }', 0, 1),
        ('{ signal = "sine", mean = 3, amplitude = 1, period_s = 700 }', 2, 4),
        ('{ signal = "ramp", low = 5, high = 9, period_s = 5000 }', 5, 9),
        ('{ signal = "noise", deviation = 1 }', -6, 6),
        ('{ signal = "wander", deviation = 1, memory_s = 300 }', -6, 6),
        ('{ signal = "walk", per_sqrt_s = 0.5, least = -2, most = 2 }', -2, 2),
        ('{ signal = "drift", per_day = 24 }', 0, 168),
    ],
)
def test_each_kind_moves_within_its_bounds(told: str, least: float, most: float) -> None:
    found = column(fields(x=told), "x", times=168, step_ms=3_600_000)
    assert len(set(found)) > 1
    assert least <= min(found) <= max(found) <= most


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            fields(x='{ signal = "nosie", deviation = 1 }'),
            "profiles[0].measurements[0].fields[0].signals[0].signal: 'nosie' is not one of "
            "constant, own, daily,",
        ),
        (
            fields(x='{ signal = "noise", deviation = -1 }'),
            "profiles[0].measurements[0].fields[0].signals[0].deviation: expected float >= 0.0; "
            "allowed is a standard deviation",
        ),
        (
            fields(x='{ signal = "noise", deviation = nan }'),
            "profiles[0].measurements[0].fields[0].signals[0].deviation: ",
        ),
        (
            fields(x='{ signal = "integral", field = "y" }', y='{ signal = "own", deviation = 1 }'),
            "profiles[0].measurements[0].fields[0].signals[0].field: no field 'y' with numbers",
        ),
        (
            fields(x='{ signal = "in-state", field = "y", state = "on" }'),
            "profiles[0].measurements[0].fields[0].signals[0].field: no field 'y' with states",
        ),
        (
            fields(
                y='{ signal = "states", stays_s = { on = 1, off = 1 } }',
                x='{ signal = "by-state", field = "y", values = { on = 1 } }',
            ),
            "profiles[0].measurements[0].fields[1].signals[0].values: one for each of on, off",
        ),
        (
            fields(
                y='{ signal = "states", stays_s = { on = 1, off = 1 } }',
                x='{ signal = "in-state", field = "y", state = "half" }',
            ),
            "profiles[0].measurements[0].fields[1].signals[0].state: 'half' is not one of on, off",
        ),
        (
            fields(x='{ signal = "states", stays_s = { on = 1 }, follows = { on = ["off"] } }'),
            "profiles[0].measurements[0].fields[0].signals[0].follows: no stay is given for off",
        ),
        (
            fields(
                x='{ signal = "states", stays_s = { on = 1 } }, { signal = "drift", per_day = 1 }'
            ),
            "profiles[0].measurements[0].fields[0].signals: a state or a truth stands alone",
        ),
        (
            fields(x='{ signal = "walk", per_sqrt_s = 1, least = 2, most = 1 }'),
            "profiles[0].measurements[0].fields[0].signals[0].most: is not above least",
        ),
        (
            fields(x='{ signal = "drift", per_day = 1 }') + "least = 2\nmost = 1\n",
            "profiles[0].measurements[0].fields[0].most: 1 is below least, 2",
        ),
        (
            fields(seq='{ signal = "drift", per_day = 1 }'),
            "profiles[0].measurements[0].fields[0].name: not a name; allowed is a name, not time,",
        ),
        (
            2 * fields(x='{ signal = "drift", per_day = 1 }'),
            "profiles[0].measurements[0].fields[1].name: there is a field 'x' already",
        ),
    ],
)
def test_a_mistake_is_named_by_its_key_path(told: str, said: str) -> None:
    (found,) = mistakes_of(told)
    assert found.startswith(said)


def test_a_profile_has_a_name_of_its_own() -> None:
    told = fields(x='{ signal = "drift", per_day = 1 }').replace('"mine"', '"machine"')
    with pytest.raises(FleetError, match="there is a profile 'machine' already"):
        parse_fleet(fleet_of(told).replace('"mine"', '"machine"'), "own.toml")


def test_a_template_may_hold_its_fields_alone() -> None:
    told = fleet_of(fields(x='{ signal = "drift", per_day = 1 }'))
    told += 'format = "template"\ntemplate = \'{"v": $%s}\'\n'
    assert parse_fleet(told % "x", "own.toml").profiles[0].name == "mine"
    with pytest.raises(FleetError, match="m has no field y"):
        parse_fleet(told % "y", "own.toml")


def test_every_signal_is_in_the_readme() -> None:
    page = (Path(__file__).parents[3] / "sensors" / "README.md").read_text(encoding="utf-8")
    for table in get_args(AnySignal):
        row = next(
            line for line in page.splitlines() if f"| `{table.__struct_config__.tag}` |" in line
        )
        for key in table.__struct_fields__:
            assert f"`{key}`" in row, (table, key)
