"""Which influxd is taken: by us, and by the script behind `make tools`, alike."""

import re
import subprocess
from pathlib import Path

import pytest

from stack.influxdb import VERSION, InfluxdMissing, find_influxd
from stack.process import ROOMS

SCRIPT = ROOMS / "stack" / "tools" / "influxd.sh"


def put(path: Path, says: str) -> Path:
    """Write a program that says something whatever it is asked."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("says", "taken"),
    [
        ("InfluxDB v2.9.1 (git: x) build_date: 2026", True),
        ("InfluxDB 2.7.12 (git: x) build_date: 2026", True),
        ("InfluxDB v2.6.1 (git: x) build_date: 2026", False),
        ("InfluxDB v2.10.0 (git: x) build_date: 2026", False),
        ("InfluxDB v1.8.10 (git: x)", False),
        ("influxdb3 3.1.0", False),
        ("", False),
    ],
)
def test_an_influxd_on_path_is_taken_if_it_is_supported_else_the_built_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, taken: bool
) -> None:
    on_path = put(tmp_path / "bin" / "influxd", says)
    built = put(
        tmp_path / "cache" / "denyut" / "tools" / f"influxd-{VERSION}" / "influxd",
        f"InfluxDB v{VERSION} (git: x)",
    )
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    found = find_influxd()
    by_script = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, timeout=30)

    assert found == (on_path if taken else built)
    assert by_script.stdout.strip() == str(found)


def test_without_any_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(InfluxdMissing, match="make tools"):
        find_influxd()


def test_what_is_looked_for_is_what_make_tools_builds() -> None:
    module = (SCRIPT.parent / "go.mod").read_text()

    assert re.findall(r"github.com/influxdata/influxdb/v2 v(\S+)", module) == [VERSION]
