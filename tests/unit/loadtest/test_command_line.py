"""The load tests' command line: errors in one line, before anything is asked of anybody."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from loadtest import LoadtestError
from loadtest.__main__ import application
from loadtest.command import find_master, locust_command, locust_environment
from loadtest.settings import LoadtestSettings


def invoke(*arguments: str, **told: str) -> Result:
    environment = {f"LOADTEST_{name}": text for name, text in told.items()}
    return CliRunner().invoke(application, arguments, env=environment)


def assert_refused(result: Result, said: str) -> None:
    assert result.exit_code == 2
    assert result.stderr.startswith("loadtest: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"READERS": "many"}, "LOADTEST_READERS='many': a whole number from 0 to 100000"),
        (
            {"READERS": "0", "STREAMS": "0"},
            "LOADTEST_FRESHNESS are 0: there is nobody to make any load",
        ),
        ({"READERS": "0", "SHAPE": "limit"}, "LOADTEST_READERS, and both are 0"),
        ({"PUBLISHERS": "5"}, "LOADTEST_FLEET_KEY_FILE is not set: publishers derive"),
        ({"PUBLISHER_QOS": "3"}, "LOADTEST_PUBLISHER_QOS='3': one of mixed, 0, 1, 2 is allowed"),
        ({"TLS_CA_FILE": "gone"}, "LOADTEST_TLS_CA_FILE='gone': cannot be read"),
        ({"DURATION_SECONDS": "0"}, "LOADTEST_DURATION_SECONDS='0'"),
        ({"TARGET": "localhost:8080"}, "LOADTEST_TARGET='localhost:8080'"),
        ({"TARGET": "http://localhost/x"}, "LOADTEST_TARGET='http://localhost/x'"),
        ({"CA_FILE": "gone.pem"}, "LOADTEST_CA_FILE='gone.pem': No such file"),
        ({"API_KEY_FILE": "gone"}, "LOADTEST_API_KEY_FILE='gone': cannot be read"),
        ({"OBJECTIVES": "gone.toml"}, "gone.toml: cannot be read"),
    ],
)
def test_a_bad_setting_is_one_line(told: dict[str, str], said: str) -> None:
    assert_refused(invoke("run", **told), said)


def test_a_ca_file_without_a_certificate_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("nothing")

    assert_refused(invoke("run", CA_FILE=str(path)), f"LOADTEST_CA_FILE='{path}': no certificate")


def test_a_target_where_nobody_answers_is_named() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        target = f"http://127.0.0.1:{nobody.getsockname()[1]}"

        assert_refused(invoke("run", TARGET=target), f"LOADTEST_TARGET='{target}': does not answer")


def test_check_tells_what_is_in_a_file_or_what_is_wrong_with_it(tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text("[run]\nrate_percent = -1\n")

    assert "latest" in invoke("check").stdout
    assert_refused(invoke("check", str(bad)), f"{bad}: ")


def test_locust_is_told_by_us_alone() -> None:
    environment = {"LOCUST_HEADLESS": "false", "LOADTEST_READERS": "5", "PATH": "/bin"}

    assert locust_environment(environment, {"LOADTEST_TARGET": "http://a"}) == {
        "LOADTEST_READERS": "5",
        "PATH": "/bin",
        "LOADTEST_TARGET": "http://a",
    }


def test_the_key_is_on_no_command_line() -> None:
    told = LoadtestSettings.load({"LOADTEST_API_KEY": "dnyt_secret"})

    assert not any("dnyt_secret" in argument for argument in locust_command(told))


def test_nobody_who_leads_is_one_line() -> None:
    told = LoadtestSettings(tasks=2, slot=2, master_host="nowhere.invalid")

    with pytest.raises(LoadtestError, match=r"LOADTEST_MASTER_HOST=.* nobody leads there"):
        find_master(told, within_seconds=0)


def test_who_leads_is_found_by_who_listens() -> None:
    with socket.socket() as leader:
        leader.bind(("127.0.0.1", 0))
        leader.listen()

        told = LoadtestSettings(tasks=2, slot=2, master_port=leader.getsockname()[1])

        assert find_master(told, within_seconds=5) == "127.0.0.1"
