"""`python -m api keys` as it is used: made, listed, revoked."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from stack.process import ROOMS
from telemetry.keys import Keyring, read_entries
from telemetry.keys import file as key_file

Ended = subprocess.CompletedProcess[str]


def keys(*arguments: str, **environment: str) -> Ended:
    return subprocess.run(
        [sys.executable, "-m", "api", "keys", *arguments],
        cwd=ROOMS,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_key_is_made_listed_and_revoked(tmp_path: Path) -> None:
    path = str(tmp_path / "keys")
    made = keys("make", "--name", "grafana", "--scope", "read", "--file", path)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    entry = Keyring(key_file.load(Path(path))).entry(key)
    assert entry is not None
    assert (entry.name, entry.scopes, entry.is_limited) == ("grafana", ["read"], False)
    assert key not in made.stderr

    more = ("--scope", "read", "--scope", "command", "--device", "hall-*")
    assert keys("make", "--name", "ops", *more, API_KEYS_FILE=path).returncode == 0
    listed = keys("list", API_KEYS_FILE=path)
    assert [line.split()[1:4] for line in listed.stdout.splitlines()] == [
        ["grafana", "read", "all"],
        ["ops", "read,command", "hall-*"],
    ]
    assert key.split("_")[2] not in listed.stdout

    assert keys("revoke", entry.id, "--file", path).returncode == 0
    assert [one.name for one in key_file.load(Path(path))] == ["ops"]


def test_without_a_file_the_entry_comes_after_the_key() -> None:
    made = keys("make", "--name", "front", "--scope", "read")
    assert made.returncode == 0, made.stderr
    key, line = made.stdout.splitlines()
    assert Keyring(read_entries(line.encode())).entry(key) is not None
    assert msgspec.json.decode(line)["name"] == "front"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["make", "--name", "a b", "--scope", "read", "--file", "PATH/new"], "name"),
        (["make", "--name", "a", "--scope", "write", "--file", "PATH/new"], "admin is allowed"),
        (["make", "--name", "a", "--scope", "read", "--device", "*", "--file", "PATH/new"], "dev"),
        (["make", "--name", "a", "--scope", "read", "--file", "PATH/no/k"], "cannot be written"),
        (["make", "--name", "a", "--scope", "read", "--file", "PATH/bad"], "line 1"),
        (["list", "--file", "PATH/new"], "cannot be read"),
        (["list", "--file", "PATH/bad"], "line 1"),
        (["revoke", "abc", "--file", "PATH/empty"], "has no key 'abc'"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], word: str
) -> None:
    (tmp_path / "bad").write_text("{")
    (tmp_path / "empty").touch()
    ended = keys(*(one.replace("PATH", str(tmp_path)) for one in arguments))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert word in ended.stderr
    assert not (tmp_path / "new").exists()
