"""The senders' keys: made by `python -m ingest keys`, and what each lets its sender write."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ingest.keys_commands import application
from ingest.sources.keys import SenderKeys
from telemetry.keys import file as key_file
from telemetry.keys import make_key
from telemetry.settings import SettingError
from tests.eventually import eventually


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def keys(*arguments: str) -> Result:
    return CliRunner().invoke(application, arguments)


def added(path: Path, *arguments: str) -> str:
    made = keys("make", "--name", "gateway", *arguments, "--file", str(path))
    assert made.exit_code == 0, made.output
    return made.stdout.strip()


def test_a_key_lets_its_sender_write_for_the_devices_that_it_names(path: Path) -> None:
    key = added(path, "--device", "station-01", "--device", "hall-*")
    grant = SenderKeys(path).grant(key)

    assert grant is not None
    asked = ["station-01", "station-011", "hall-7", "hal", "HALL-7"]
    assert [one for one in asked if grant.allows(one)] == ["station-01", "hall-7"]


def test_a_key_for_all_devices_has_to_be_asked_for(path: Path) -> None:
    key = added(path, "--all-devices")
    grant = SenderKeys(path).grant(key)

    assert grant is not None
    assert grant.allows("anything")


def test_a_wrong_key_and_one_that_may_only_read_let_nobody_in(path: Path) -> None:
    reading, entry = make_key("grafana", ["read", "command", "admin"], None, made="")
    key_file.add(path, entry)
    senders = SenderKeys(path)

    for key in (reading, "", "x" * 100_000, f"dnyt_abc_{'0' * 64}"):
        assert senders.grant(key) is None


def test_a_key_opens_as_soon_as_it_is_added_and_soon_no_more_once_revoked(path: Path) -> None:
    path.touch()
    senders = SenderKeys(path)
    key = added(path, "--device", "d-1")
    assert senders.grant(key) is not None

    listed = keys("list", "--file", str(path)).stdout
    assert [line.split()[1:4] for line in listed.splitlines()] == [["gateway", "write", "d-1"]]
    assert keys("revoke", listed.split()[0], "--file", str(path)).exit_code == 0
    eventually(lambda: senders.grant(key) is None)


def test_the_file_is_not_looked_at_for_each_question(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = added(path, "--device", "d-1")
    senders = SenderKeys(path)
    assert senders.grant(key) is not None

    def looked(_path: Path) -> None:
        raise AssertionError("the file was looked at")

    monkeypatch.setattr(key_file, "_signature", looked)
    assert senders.grant(key) is not None


def test_a_file_that_cannot_be_read_is_named_before_anything_listens(path: Path) -> None:
    with pytest.raises(SettingError, match="INGEST_KEYS_FILE="):
        SenderKeys(path)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--name", "a"], "--all-devices"),
        (["--name", "a", "--device", "d", "--all-devices"], "--all-devices"),
        (["--name", "a b", "--device", "d"], "name"),
        (["--name", "a", "--device", "*"], "devices"),
    ],
)
def test_what_is_wrong_with_a_new_key_is_one_line(
    path: Path, arguments: list[str], words: str
) -> None:
    ended = keys("make", *arguments, "--file", str(path))

    assert ended.exit_code == 2
    assert words in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not path.exists()
