from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from broker.__main__ import application
from broker.certificates import Authority, Issued, check_pair
from telemetry.credentials import device_password


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(application, [str(argument) for argument in arguments])


def read(folder: Path, name: str) -> Issued:
    return Issued((folder / f"{name}.crt").read_text(), (folder / f"{name}.key").read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of an authority."""
    assert run("authority", "--folder", tmp_path / "tls").exit_code == 0
    return tmp_path / "tls"


def test_an_authority_signs_for_a_broker_and_for_a_device(folder: Path) -> None:
    server = run("certificate", "--authority", folder, "--server", "broker", "--server", "10.0.0.1")
    client = run("certificate", "--authority", folder, "--client", "press-1")

    assert (server.exit_code, client.exit_code) == (0, 0)
    assert client.stdout.split() == [str(folder / "press-1.crt"), str(folder / "press-1.key")]
    for name in ("server", "press-1"):
        check_pair(read(folder, name))
    Authority.load(read(folder, "ca"))


def test_nobody_else_can_read_a_key(folder: Path) -> None:
    run("certificate", "--authority", folder, "--client", "press-1")

    modes = {path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert (modes, folder.stat().st_mode & 0o777) == ({0o600}, 0o700)


def test_a_certificate_is_renewed_but_an_authority_stays(folder: Path) -> None:
    ask: list[str | Path] = ["certificate", "--authority", folder, "--client", "press-1"]
    run(*ask)
    before = {name: read(folder, name) for name in ("ca", "press-1")}

    assert run(*ask).exit_code == 0
    assert run("authority", "--folder", folder).exit_code == 2

    assert read(folder, "press-1") != before["press-1"]
    assert read(folder, "ca") == before["ca"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "name either"),
        (["--server", "broker", "--client", "a"], "name either"),
        (["--client", "../a"], "is not a name"),
        (["--client", "ca"], "the authority's own"),
        (["--client", "ingest"], "the user of a service"),
        (["--server", "bücher"], "bücher"),
    ],
)
def test_what_cannot_be_signed_is_one_line(folder: Path, arguments: list[str], why: str) -> None:
    result = run("certificate", "--authority", folder, *arguments)

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert why in result.stderr


def test_a_folder_without_an_authority_is_one_line(tmp_path: Path) -> None:
    result = run("certificate", "--authority", tmp_path, "--client", "a")

    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_a_devices_password_is_printed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the fleet key\n")

    result = run("password", "press-1", "--fleet-key-file", tmp_path / "key")

    assert result.stdout == device_password("the fleet key", "press-1") + "\n"


@pytest.mark.parametrize(
    ("device", "key_file"), [("ingest", "key"), ("a b", "key"), ("a", "none"), ("a", "empty")]
)
def test_no_password_is_printed_for_what_is_no_device(
    tmp_path: Path, device: str, key_file: str
) -> None:
    (tmp_path / "key").write_text("the fleet key\n")
    (tmp_path / "empty").write_text("\n")

    result = run("password", device, "--fleet-key-file", tmp_path / key_file)

    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)


def test_the_devices_of_a_file_are_printed(tmp_path: Path) -> None:
    (tmp_path / "devices").write_text("a{1..2}\nb\n")

    assert run("devices", tmp_path / "devices").stdout == "a1\na2\nb\n"
