"""Devices dealt out of groups, and fleets scaled to a number."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.course import Stage
from sensors.fleet import (
    Device,
    Fleet,
    QosChoice,
    device_names,
    make_fleet,
    name_ranges,
    scaled_counts,
)
from sensors.fleetfile import FleetError, find_fleet, parse_fleet, read_fleet_file

DEMO = read_fleet_file(find_fleet("demo"))


def levels(fleet: Fleet) -> set[int]:
    return {device.qos for device in fleet.devices}


def test_the_demo_has_a_hundred_devices_with_different_names_at_all_levels() -> None:
    fleet = make_fleet(DEMO)
    assert len({device.name for device in fleet.devices}) == 100
    assert fleet.devices[0].name == "weather-00000"
    for qos in (0, 1, 2):
        assert 30 <= sum(device.qos == qos for device in fleet.devices) <= 40
    assert len({device.site for device in fleet.devices}) >= 2


def test_devices_of_a_group_are_due_spread_over_its_period() -> None:
    fleet = make_fleet(DEMO)
    spreads = [device.spread_ms for device in fleet.devices if device.name.startswith("weather")]
    assert spreads == [index * 25 for index in range(40)]


@pytest.mark.parametrize("devices", [3, 4, 7, 10, 99, 100, 101, 250, 2000])
def test_a_scaled_fleet_has_exactly_so_many_devices_and_every_level(devices: int) -> None:
    fleet = make_fleet(DEMO, devices=devices)
    assert len(fleet.devices) == devices
    assert levels(fleet) == {0, 1, 2}


def test_scaling_keeps_proportions() -> None:
    assert scaled_counts([40, 36, 16, 8], 200) == [80, 72, 32, 16]
    assert scaled_counts([40, 36, 16, 8], 50) == [20, 18, 8, 4]


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=20), st.integers(1, 5000))
def test_scaled_counts_add_up_and_no_group_vanishes_while_there_is_one_for_each(
    counts: list[int], total: int
) -> None:
    scaled = scaled_counts(counts, total)
    assert sum(scaled) == total
    assert min(scaled) >= (1 if total >= len(counts) else 0)


def test_a_fleet_too_small_for_its_levels_is_refused() -> None:
    with pytest.raises(FleetError, match="2 devices are too few: none is left at QoS 2"):
        make_fleet(DEMO, devices=2)


@pytest.mark.parametrize(("choice", "expected"), [("0", {0}), ("2", {2}), ("mixed", {0, 1, 2})])
def test_the_command_line_overrules_the_level(choice: QosChoice, expected: set[int]) -> None:
    assert levels(make_fleet(DEMO, qos=choice)) == expected


def test_the_command_line_overrules_the_seed() -> None:
    assert make_fleet(DEMO, seed=7).seed == 7


def expanded(name_range: str) -> list[str]:
    found = re.fullmatch(r"(.*)-\{(\d+)\.\.(\d+)\}", name_range)
    assert found is not None
    prefix, first, last = found.groups()
    return [f"{prefix}-{index:0{len(first)}d}" for index in range(int(first), int(last) + 1)]


def nameless(fleet: Fleet) -> list[Device]:
    return [msgspec.structs.replace(device, name="") for device in fleet.devices]


def test_the_first_slot_has_the_names_of_a_fleet_without_slots() -> None:
    assert make_fleet(DEMO, slot=1) == make_fleet(DEMO)


def test_a_slot_goes_on_where_the_one_before_it_ends() -> None:
    names = [device.name for device in make_fleet(DEMO, devices=10, slot=3).devices]

    assert names[:4] == ["weather-00008", "weather-00009", "weather-00010", "weather-00011"]
    assert nameless(make_fleet(DEMO, slot=3)) == nameless(make_fleet(DEMO))


@given(st.integers(1, 60), st.integers(1, 6))
def test_slots_share_no_name_and_ranges_name_the_same_devices(devices: int, slots: int) -> None:
    names = device_names(DEMO, devices=devices, qos="0", slots=slots)
    ranges = name_ranges(DEMO, devices=devices, slots=slots)

    assert len(names) == len(set(names)) == devices * slots
    assert sorted(names) == sorted(name for one in ranges for name in expanded(one))


LISTED = parse_fleet(
    '[fleet]\nname = "l"\nseed = 1\n[[groups]]\ndevices = ["north", "south"]\nsite = "home"\n'
    'profile = "machine"\n[[groups]]\nname = "m"\ncount = 3\nfirst = 40\nsite = "home"\n'
    'profile = "machine"\n',
    "listed.toml",
)


def test_listed_devices_have_their_names_in_the_first_slot_and_are_not_scaled() -> None:
    assert device_names(LISTED, devices=6, slots=2) == [
        "north", "south", "m-00040", "m-00041", "m-00042", "m-00043",
        "m-00044", "m-00045", "m-00046", "m-00047",
    ]  # fmt: skip
    assert name_ranges(LISTED, slots=2) == ["north", "south", "m-{00040..00045}"]
    with pytest.raises(FleetError, match="1 devices: 2 are listed by name, and cannot be scaled"):
        make_fleet(LISTED, devices=1)


def test_a_rate_that_no_process_makes_is_refused() -> None:
    group = msgspec.structs.replace(DEMO.groups[0], count=1001, period_ms=10)
    fast = msgspec.structs.replace(DEMO, groups=[group])
    with pytest.raises(FleetError, match="1001 devices would be due 100,100 times a second"):
        make_fleet(fast)
    ten = [Stage(for_s=1, rate=10)]
    with pytest.raises(FleetError, match="more than 100,000"):
        make_fleet(msgspec.structs.replace(fast, stages=ten), devices=101)


def test_a_slot_past_the_last_name_is_refused() -> None:
    assert make_fleet(DEMO, devices=250, slot=1000).devices[99].name == "weather-99999"
    said = (
        "^weather: 100 devices in each of 1001 slots are more than the 100000 names "
        "from weather-00000 to weather-99999$"
    )
    with pytest.raises(FleetError, match=said):
        make_fleet(DEMO, devices=250, slot=1001)
    with pytest.raises(FleetError, match=said):
        name_ranges(DEMO, devices=250, slots=1001)
    with pytest.raises(FleetError, match=said):
        device_names(DEMO, devices=250, qos="0", slots=1001)
