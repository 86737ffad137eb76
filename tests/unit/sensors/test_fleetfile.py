"""Fleet files and what is said about mistakes in them."""

from pathlib import Path

import pytest

from sensors.fleetfile import FleetError, find_fleet, parse_fleet, read_fleet_file, shipped_fleets

HEAD = '[fleet]\nname = "test"\nseed = 1\n'
GROUP = '[[groups]]\nname = "a"\ncount = 3\nsite = "home"\nprofile = "machine"\n'


def error_of(text: str) -> str:
    with pytest.raises(FleetError) as caught:
        parse_fleet(text, "f.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def all_errors_of(text: str) -> str:
    with pytest.raises(FleetError) as caught:
        parse_fleet(text, "f.toml")
    return str(caught.value)


def test_a_group_takes_its_defaults() -> None:
    (group,) = parse_fleet(HEAD + GROUP.replace('name = "a"\n', ""), "f.toml").groups
    assert (group.prefix, group.levels, group.period_ms) == ("machine", [1], 1000)


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("qos = 3\n", "f.toml: groups[1].qos: "),
        ("qos = [0, 5]\n", "f.toml: groups[1].qos[1]: "),
        ("qos = []\n", "f.toml: groups[1].qos: "),
        ('qos = "1"\n', "f.toml: groups[1].qos: "),
        ("period_ms = 0\n", "f.toml: groups[1].period_ms: "),
        ("period_ms = 1.5\n", "f.toml: groups[1].period_ms: "),
        ("colour = 1\n", "f.toml: groups[1].colour: not a known key"),
    ],
)
def test_a_mistake_is_named_by_its_key_path(mistake: str, said: str) -> None:
    other = GROUP.replace('"a"', '"b"')
    assert error_of(HEAD + GROUP + other + mistake).startswith(said)


def test_what_is_allowed_stands_behind_a_mistake() -> None:
    assert error_of(HEAD + GROUP + "qos = 3\n").endswith(
        "allowed is 0, 1, 2 or a list of them, dealt out in turn"
    )


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        ("jitter_ms = 1000\n", "jitter_ms: 1000 is not below period_ms, 1000"),
        ("format = 'xml'\n", "format: invalid enum value 'xml'; allowed is native, flat, line or"),
        ("pack = 5\nformat = 'line'\n", "pack: packs are native, and format is line"),
        ("template = '$ts'\n", "template: format is native"),
        ("format = 'template'\n", "template: format is template"),
        ("format = 'template'\ntemplate = '$'\n", "template: a $ that begins no name"),
        ("format = 'template'\ntemplate = '$hue'\n", "template: machine has no field hue"),
        ("topic = 'x/{device}'\n", "topic: 'x/{device}': names site not exactly once"),
        ("topic = 'x site=a device=b measurement=c'\n", "topic: without {device} the devices"),
        (
            "topic = '{device}/{field} site=a measurement=c format=value'\n",
            "topic: a device sends whole readings",
        ),
        ("measurements = ['weather']\n", "measurements: 'weather' is not one of machine's: mach"),
        ("devices = ['x']\n", "devices: count is there as well"),
        ("[groups.tls]\ncolour = 1\n", "tls.colour: not a known key"),
        ("[[groups.faults]]\nfault = 'gremlins'\n", "faults[0].fault: 'gremlins' is not one of"),
        ("[[groups.faults]]\nat_s = 1\n", "faults[0].fault: None is not one of dropout, "),
        ("[[groups.faults]]\nfault = 'stuck'\n", "faults[0].at_s: one of at_s and times_per"),
        ("[[groups.faults]]\nfault = 'stuck'\nppm = 1\n", "faults[0].ppm: not a known key"),
        ("[[groups.faults]]\nfault = 'late'\nby_s = 0\n", "faults[0].by_s: expected float > 0"),
        ("expiry_seconds = 0\n", "expiry_seconds: expected int >= 1"),
    ],
)
def test_what_contradicts_itself_in_a_group_is_named(mistake: str, said: str) -> None:
    assert f"f.toml: groups[0].{said}" in all_errors_of(HEAD + GROUP + mistake)


def test_a_listed_name_that_another_device_has_is_refused() -> None:
    listed = '[[groups]]\ndevices = ["a-00007", "x", "x"]\nsite = "home"\nprofile = "machine"\n'
    assert all_errors_of(HEAD + GROUP + listed).count("is there already") == 2


def test_a_whole_group_of_keys_is_taken() -> None:
    text = (
        HEAD + '[[groups]]\ndevices = ["north", "south"]\nsite = "home"\nprofile = "machine"\n'
        'qos = [0, 2]\nperiod_ms = 500\njitter_ms = 100\nformat = "template"\n'
        """template = '{"t": $ts, "n": [$boot, $seq], "v": ${vibration}, "d": "$device"}'\n"""
        'topic = "acme/{device} site=home measurement=machine"\nretain = true\n'
        'expiry_seconds = 60\nkeepalive_seconds = 30\nport = 8883\ncredentials = "pw"\n'
        '[groups.tls]\nca_file = "ca.crt"\n'
    )
    (group,) = parse_fleet(text, "f.toml").groups
    assert (group.size, group.levels, group.audited) == (2, [0, 2], True)
    assert group.tls is not None
    assert not parse_fleet(text.replace("$boot, ", ""), "f.toml").groups[0].audited


def test_a_missing_key_is_named() -> None:
    assert (
        error_of(HEAD + GROUP.replace("count = 3\n", "")) == "f.toml: groups[0].count: is missing"
    )
    assert error_of(HEAD) == "f.toml: groups: is missing"


def test_a_site_that_is_no_name_is_refused() -> None:
    assert error_of(HEAD + GROUP.replace("home", "my home")).startswith(
        "f.toml: groups[0].site: not a name; allowed is a name: "
    )


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    said = error_of(HEAD + GROUP.replace("machine", "toaster"))
    assert said.startswith("f.toml: groups[0].profile: 'toaster' is not one of weather-station, ")


def test_an_unknown_profile_is_named_beside_other_mistakes_of_its_group() -> None:
    said = all_errors_of(HEAD + GROUP.replace("machine", "toaster") + "qos = 7\n").splitlines()
    assert [line.split(": ")[1] for line in said] == ["groups[0].qos", "groups[0].profile"]


def test_a_prefix_that_makes_two_devices_of_one_name_is_refused() -> None:
    assert error_of(HEAD + GROUP + GROUP).startswith(
        "f.toml: groups[1].name: 'a' is groups[0]'s already"
    )


def test_a_syntax_error_is_named_by_its_line() -> None:
    assert error_of(HEAD + GROUP + "qos = = 1\n").startswith("f.toml:9: ")
    assert error_of(HEAD + "[[groups]\n").startswith("f.toml:4: ")
    assert error_of("[fleet]\nname =").startswith("f.toml:2: ")


def test_a_file_that_is_not_there_is_named_with_the_shipped_fleets() -> None:
    with pytest.raises(FleetError, match=r"nowhere\.toml: No such file.*demo"):
        read_fleet_file(Path("nowhere.toml"))


def test_every_shipped_fleet_can_be_read() -> None:
    assert "demo" in shipped_fleets()
    for name in shipped_fleets():
        assert read_fleet_file(find_fleet(name)).fleet.name == name


def test_the_fleets_in_the_documentation_are_some() -> None:
    page = (Path(__file__).parents[3] / "docs" / "fleets.md").read_text(encoding="utf-8")
    examples = [part.partition("```")[0] for part in page.split("```toml\n")[1:]]
    described = [parse_fleet(example, "fleets.md") for example in examples]
    assert [one.fleet.name for one in described] == ["shop", "many"]
    assert [len(group.faults) for group in described[0].groups] == [1, 1, 0]
    assert len(described[0].stages) == 2
