"""The command line: errors in one line, before any socket opens."""

import resource
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from sensors.__main__ import application
from sensors.keeping import open_journal
from sensors.ledgers import NoLedger, open_ledger
from sensors.settings import SensorsSettings
from telemetry.descriptors import TooFewDescriptors, allow_connections

KEY = {"SENSORS_FLEET_KEY": "key"}


@pytest.fixture(autouse=True)
def log_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the log as it is: a command runs in this process here, and so would all later tests."""
    monkeypatch.setattr("telemetry.log.configure", lambda *_given: None)


def invoke(*arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(application, arguments, env=environment)


def assert_refused(result: Result, said: str) -> None:
    assert result.exit_code == 2
    assert result.stderr.startswith(f"sensors: {said}")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_a_mistake_in_a_fleet_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    rest = 'site = "home"\nprofile = "machine"\n'
    path.write_text(f'[fleet]\nname = "x"\nseed = 1\n[[groups]]\ncount = 0\n{rest}')
    assert_refused(invoke("check", str(path)), f"{path}: groups[0].count: ")
    assert_refused(invoke("run", str(path), environment=KEY), f"{path}: groups[0].count: ")


def test_check_names_each_mistake_of_a_file_in_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(
        '[fleet]\nname = "x"\n[[groups]]\ncount = 0\nsite = "home"\nprofile = "machine"\n'
        '[[groups]]\ncount = 1\nsite = "home"\nprofile = "toaster"\nperiod_ms = 5\njitter_ms = 5\n'
    )
    result = invoke("check", str(path))
    assert result.exit_code == 2
    assert [line.split(": ")[2] for line in result.stderr.splitlines()] == [
        "fleet.seed", "groups[0].count", "groups[1].profile", "groups[1].jitter_ms",
    ]  # fmt: skip


def test_the_schema_of_fleet_files_is_printed() -> None:
    schema = msgspec.json.decode(invoke("schema").stdout)
    assert "jitter_ms" in schema["$defs"]["Group"]["properties"]


def test_a_bad_setting_is_one_line() -> None:
    environment = {**KEY, "SENSORS_BROKER_PORT": "70000"}
    said = "SENSORS_BROKER_PORT='70000': a whole number from 1 to 65535 is allowed"
    assert_refused(invoke("run", "demo", environment=environment), said)


def test_a_client_id_that_is_a_devices_name_is_refused() -> None:
    environment = {**KEY, "SENSORS_CLIENT_ID": "weather-00000"}
    said = "SENSORS_CLIENT_ID='weather-00000': a device of the fleet has that name"
    assert_refused(invoke("run", "demo", environment=environment), said)


def test_more_devices_than_open_files_are_refused_with_the_limit_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (200, 200))
    result = invoke("run", "demo", "--devices", "500", environment=KEY)
    assert_refused(result, "501 connections need 565 open files, and the hard limit")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("FLEET", "nowhere.toml", "nowhere.toml: No such file"),
        ("DEVICES", "2", "2 devices are too few"),
        ("DEVICES", "0", "SENSORS_DEVICES='0': a whole number from 1 to 1000000 is allowed"),
        ("QOS", "3", "SENSORS_QOS='3': one of 0, 1, 2, mixed is allowed"),
        ("SLOT", "0", "SENSORS_SLOT='0': a whole number from 1 to 100000 is allowed"),
        ("SLOT", "2501", "weather: 40 devices in each of 2501 slots are more than the 100000"),
        ("TLS_CA_FILE", "gone.crt", "SENSORS_TLS_CA_FILE='gone.crt': cannot be read: No such"),
    ],
)
def test_the_environment_says_what_to_run_without_arguments(
    name: str, value: str, said: str
) -> None:
    assert_refused(invoke("run", environment={**KEY, f"SENSORS_{name}": value}), said)


def test_arguments_stand_before_the_environment() -> None:
    environment = {**KEY, "SENSORS_FLEET": "nowhere.toml", "SENSORS_DEVICES": "50"}
    result = invoke("run", "demo", "--devices", "2", environment=environment)
    assert_refused(result, "2 devices are too few")


def test_an_empty_folder_is_none() -> None:
    settings = SensorsSettings.load(
        {**KEY, "SENSORS_LEDGER_DIR": "", "SENSORS_OUTBOX_DIR": ""},
    )
    assert isinstance(open_ledger(settings.ledger_dir, settings.client_id, 0), NoLedger)
    assert open_journal(settings) is None


def test_a_limit_that_is_high_enough_is_kept_or_raised() -> None:
    allow_connections(10)
    with pytest.raises(TooFewDescriptors, match="ulimit -Hn"):
        allow_connections(10**9)


def test_check_says_what_is_in_a_fleet() -> None:
    result = invoke("check", "demo")
    assert result.exit_code == 0
    assert result.stdout.startswith("demo: 100 devices on 3 sites: ")


def test_devices_lists_the_names_of_a_scaled_fleet() -> None:
    names = invoke("devices", "demo", "--devices", "7").stdout.split()
    assert len(names) == len(set(names)) == 7


def test_devices_of_several_slots_are_listed_one_by_one_or_as_ranges() -> None:
    names = invoke("devices", "demo", "--devices", "3", "--slots", "2").stdout.split()
    assert names == [
        "weather-00000", "meter-00000", "press-00000",
        "weather-00001", "meter-00001", "press-00001",
    ]  # fmt: skip
    ranges = invoke("devices", "demo", "--devices", "500", "--slots", "10", "--ranges")
    assert ranges.stdout.splitlines()[0] == "weather-{00000..01999}"
    result = invoke("devices", "demo", "--devices", "500", "--slots", "501", "--ranges")
    assert_refused(result, "weather: 200 devices in each of 501 slots are more than the 100000")


def test_even_one_device_has_a_name() -> None:
    assert invoke("devices", "demo", "--devices", "1").stdout == "weather-00000\n"


def test_profiles_are_listed() -> None:
    assert {line.split()[0] for line in invoke("profiles").stdout.splitlines()} >= {
        "weather-station", "smart-meter", "machine",
    }  # fmt: skip
