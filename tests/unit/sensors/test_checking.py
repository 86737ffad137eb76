"""Fleet and way, settings and way: what does not go together is said before anything opens."""

from pathlib import Path

import pytest

from sensors.faults.kinds import PLANS
from sensors.fleet import make_fleet
from sensors.fleetfile import FleetError, parse_fleet
from sensors.settings import SensorsSettings
from sensors.ways.checking import check_fleet, check_settings
from sensors.ways.kinds import WAYS, WayName
from telemetry.settings import SettingError
from tests.unit.sensors.test_command_line import assert_refused, invoke


def mistakes(via: WayName, group: str = "", qos: int = 0) -> list[str]:
    """Return what is wrong with a group of 20 devices for a way."""
    text = (
        '[fleet]\nname = "x"\nseed = 1\n[[groups]]\ncount = 20\nsite = "home"\n'
        f'profile = "machine"\nqos = {qos}\n{group}\n'
    )
    try:
        check_fleet(make_fleet(parse_fleet(text, "x.toml")), via)
    except FleetError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize("via", WAYS)
def test_a_plain_group_takes_every_way_and_all_but_datagrams_at_every_level(via: WayName) -> None:
    assert mistakes(via, qos=0) == []
    assert mistakes(via, 'format = "line"') == []
    assert mistakes(via, "pack = 5") == []
    assert bool(mistakes(via, qos=1)) is (via in ("udp", "unixgram"))


def test_a_level_that_needs_an_answer_is_named_once_a_group() -> None:
    assert mistakes("udp", qos=2) == [
        "machine-00000: qos 2 needs an answer, and --via udp gives none; allowed is 0 (--qos 0)"
    ]


@pytest.mark.parametrize("way", ["tcp", "udp", "folder", "database", "http"])
def test_a_format_that_cannot_carry_an_address_is_named(way: WayName) -> None:
    (said,) = mistakes(way, 'format = "flat"')
    assert said == (
        "machine-00000: a payload of the format flat cannot carry its address, which "
        f"--via {way} needs; allowed are native and line"
    )
    assert mistakes(way, 'format = "template"\ntemplate = "$ts"')
    assert mistakes("mqtt", 'format = "flat"') == []


def test_what_means_mqtt_alone_is_named_key_by_key() -> None:
    group = (
        "retain = true\nexpiry_seconds = 5\nkeepalive_seconds = 5\nport = 5\n"
        'topic = "other/{site}/{device}/{measurement}"\ncredentials = "file"\n'
        '[groups.tls]\nca_file = "ca"'
    )
    keys = [said.split(": ")[1].split()[0] for said in mistakes("tcp", group)]
    assert sorted(keys) == [
        "credentials", "expiry_seconds", "keepalive_seconds", "port", "retain", "tls", "topic",
    ]  # fmt: skip
    assert mistakes("mqtt", group) == []


@pytest.mark.parametrize("fault", PLANS)
def test_a_fault_of_the_connection_needs_one_of_the_devices_own(fault: str) -> None:
    group = f'[[groups.faults]]\nfault = "{fault}"\nat_s = 1\n'
    assert [mistakes(via, group) for via in ("mqtt", "tcp", "unix")] == [[], [], []]
    for via in ("folder", "database", "http", "udp", "unixgram"):
        said = mistakes(via, group)
        if fault in ("flapping", "reconnect-storm"):
            assert said == [
                f"machine-00000: the fault {fault} breaks a device's connection, and with "
                f"--via {via} none has one of its own"
            ]
        else:
            assert said == []


@pytest.mark.parametrize("via", WAYS)
def test_what_a_way_needs_is_named_with_its_setting(via: WayName) -> None:
    given: dict[str, str] = {}
    for name in WAYS[via].needs:
        variable = f"SENSORS_{name.upper()}"
        with pytest.raises(SettingError, match=rf"^{variable}.* is not set: .* needs it$"):
            check_settings(SensorsSettings.load(given, via=via))
        given[variable] = "1"
    check_settings(SensorsSettings.load(given, via=via))


def test_at_the_brokers_socket_there_is_no_tls() -> None:
    settings = SensorsSettings.load(
        {"SENSORS_FLEET_KEY": "key", "SENSORS_TLS_CA_FILE": "ca"}, broker_socket="/socket"
    )
    with pytest.raises(SettingError, match=r"^SENSORS_BROKER_SOCKET='/socket': no TLS"):
        check_settings(settings)


def test_a_socket_path_that_is_too_long_is_named_with_what_is_allowed() -> None:
    path = "/" + 107 * "x"
    settings = SensorsSettings.load({"SENSORS_VIA": "unix", "SENSORS_UNIX_SOCKET": path})
    with pytest.raises(
        SettingError, match=rf"^SENSORS_UNIX_SOCKET='{path}': a path of at most 107"
    ):
        check_settings(settings)


def test_the_command_line_says_so_in_a_line_before_anything_opens(tmp_path: Path) -> None:
    key = {"SENSORS_TCP_PORT": "1", "SENSORS_KEY": "key", "SENSORS_UDP_PORT": "1"}
    said = "SENSORS_VIA='pigeon': one of mqtt, tcp, unix, udp, unixgram, folder, database, http is"
    assert_refused(invoke("run", environment={"SENSORS_VIA": "pigeon"}), said)
    assert_refused(invoke("run", "--via", "tcp"), "SENSORS_TCP_PORT is not set: ingest's port")
    environment = {**key, "SENSORS_LEDGER_DIR": str(tmp_path / "ledger")}
    result = invoke("run", "demo", "--via", "udp", "--qos", "1", environment=environment)
    assert result.exit_code == 2
    assert "weather-00000: qos 1 needs an answer, and --via udp gives none" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_check_knows_the_ways_as_well() -> None:
    assert "qos 1 needs an answer" in invoke("check", "demo", "--via", "unixgram").stderr
    good = invoke("check", "demo", "--via", "unixgram", "--qos", "0")
    assert good.exit_code == 0
    assert "at QoS 0" in good.stdout
