"""What `python -m broker serve` refuses, each in one line, before anything is written."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from broker.__main__ import application
from broker.certificates import Authority

AUTHORITY = Authority.make("test authority")
SERVER = AUTHORITY.issue_server(["broker"])
OTHER = AUTHORITY.issue_server(["broker"])
EXPIRED = AUTHORITY.issue_server(["broker"], days=-1)


@pytest.fixture(autouse=True)
def _stays_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what is wrongly taken fail its test, instead of turning the test run into a broker."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("it would have become Mosquitto")

    monkeypatch.setattr(os, "execve", refuse)


def given(folder: Path) -> dict[str, str]:
    """Return settings with which the broker would be served, their files in a folder."""
    files = {
        "BROKER_DEVICES_FILE": "press-{00..99}",
        "BROKER_FLEET_KEY_FILE": "a key",
        "BROKER_INGEST_PASSWORD_FILE": "one",
        "BROKER_API_PASSWORD_FILE": "two",
        "BROKER_HEALTH_PASSWORD_FILE": "three",
        "BROKER_TLS_CERTIFICATE_FILE": SERVER.certificate_pem,
        "BROKER_TLS_KEY_FILE": SERVER.key_pem,
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    return {
        **{name: str(folder / name) for name in files},
        "BROKER_DATA_DIR": str(folder),
        "BROKER_RUNTIME_DIR": str(folder / "run"),
    }


def refusal(settings: Mapping[str, str]) -> str:
    """Serve with these settings, which must not be possible, and return the one line of why."""
    result = CliRunner().invoke(application, ["serve"], env=settings)
    lines = result.stderr.splitlines()
    assert (result.exit_code, len(lines)) == (2, 1), result.output
    assert not Path(settings["BROKER_RUNTIME_DIR"]).exists()
    return lines[0]


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("DEVICES_FILE", "", "names no device"),
        ("DEVICES_FILE", "a\nb{2..1}", "line 2: 'b{2..1}' ends before it begins"),
        ("FLEET_KEY_FILE", "", "the file is empty"),
        ("INGEST_PASSWORD_FILE", "\n", "the file is empty"),
        ("TLS_KEY_FILE", OTHER.key_pem, "the key does not belong to the certificate"),
        ("TLS_KEY_FILE", "no key", "the key cannot be read"),
        ("TLS_CERTIFICATE_FILE", "no certificate", "the certificate cannot be read"),
    ],
)
def test_a_file_that_holds_the_wrong_thing(tmp_path: Path, name: str, text: str, why: str) -> None:
    settings = given(tmp_path)
    Path(settings[f"BROKER_{name}"]).write_text(text)

    line = refusal(settings)

    assert f"BROKER_{name}" in line
    assert why in line


@pytest.mark.parametrize(
    "name",
    [
        "DEVICES_FILE",
        "FLEET_KEY_FILE",
        "API_PASSWORD_FILE",
        "HEALTH_PASSWORD_FILE",
        "TLS_CERTIFICATE_FILE",
        "TLS_KEY_FILE",
    ],
)
def test_a_setting_that_is_missing(tmp_path: Path, name: str) -> None:
    settings = given(tmp_path)
    del settings[f"BROKER_{name}"]

    assert f"BROKER_{name}" in refusal(settings)


def test_an_expired_certificate(tmp_path: Path) -> None:
    settings = given(tmp_path)
    Path(settings["BROKER_TLS_CERTIFICATE_FILE"]).write_text(EXPIRED.certificate_pem)
    Path(settings["BROKER_TLS_KEY_FILE"]).write_text(EXPIRED.key_pem)

    assert "the certificate expired at" in refusal(settings)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"BROKER_DEVICES_FILE": "/nowhere"}, "BROKER_DEVICES_FILE='/nowhere': cannot be read"),
        ({"BROKER_TLS_KEY_FILE": "/nowhere"}, "BROKER_TLS_KEY_FILE='/nowhere': cannot be read"),
        ({"BROKER_TLS_CA_FILE": "/nowhere"}, "BROKER_TLS_CA_FILE='/nowhere': cannot be read"),
        ({"BROKER_REQUIRE_CERTIFICATE": "true"}, "needs BROKER_TLS_CA_FILE"),
        (
            {"BROKER_REQUIRE_CERTIFICATE": "true", "BROKER_UNIX_SOCKET": "/run/broker.socket"},
            "BROKER_UNIX_SOCKET: nobody shows a certificate there",
        ),
        ({"BROKER_REQUIRE_CERTIFICATE": "perhaps"}, "true or false is allowed"),
        ({"BROKER_DATA_DIR": "/nowhere"}, "BROKER_DATA_DIR='/nowhere': not a folder"),
        ({"BROKER_PORT": "1883"}, "are the same"),
        ({"BROKER_PORT": "0"}, "from 1 to 65535"),
        ({"BROKER_RATE": "0"}, "BROKER_RATE='0'"),
        ({"BROKER_OUTAGE_SECONDS": "1000000"}, "5,000,000,000 readings"),
    ],
)
def test_a_setting_that_cannot_be(tmp_path: Path, changed: dict[str, str], why: str) -> None:
    assert why in refusal({**given(tmp_path), **changed})


def test_an_authority_that_is_none_or_has_expired(tmp_path: Path) -> None:
    settings = {**given(tmp_path), "BROKER_TLS_CA_FILE": str(tmp_path / "ca.crt")}

    (tmp_path / "ca.crt").write_text("no certificate")
    assert "BROKER_TLS_CA_FILE" in refusal(settings)

    (tmp_path / "ca.crt").write_text(Authority.make("old", days=-1).certificate_pem)
    assert "it has expired" in refusal(settings)
