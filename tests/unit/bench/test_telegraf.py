"""Which Telegraf is measured: the same for us and for the script behind `make tools-bench`."""

import re
import subprocess
from pathlib import Path

import pytest

from bench.telegraf import VERSION, TelegrafMissing, find_telegraf
from stack.process import ROOMS
from tests.unit.stack.test_influxd import put

SCRIPT = ROOMS / "stack" / "tools" / "telegraf.sh"


@pytest.mark.parametrize(
    ("says", "taken"),
    [
        ("Telegraf 1.39.3 (git: x)", True),
        ("Telegraf v1.30.0", True),
        ("Telegraf 2.0.0", False),
        ("", False),
    ],
)
def test_a_telegraf_on_path_is_taken_if_it_is_one_of_1_x_else_the_built_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, taken: bool
) -> None:
    on_path = put(tmp_path / "bin" / "telegraf", says)
    built = put(
        tmp_path / "cache" / "denyut" / "tools" / f"telegraf-{VERSION}" / "telegraf",
        f"Telegraf {VERSION}",
    )
    monkeypatch.setenv("PATH", f"{on_path.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    found = find_telegraf()
    by_script = subprocess.run([SCRIPT], capture_output=True, text=True, check=True, timeout=30)

    assert found == (on_path if taken else built)
    assert by_script.stdout.strip() == str(found)


def test_without_any_it_is_said_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    with pytest.raises(TelegrafMissing, match="make tools-bench"):
        find_telegraf()


def test_what_is_looked_for_is_what_make_tools_bench_builds() -> None:
    module = (SCRIPT.parent / "telegraf" / "go.mod").read_text()

    assert re.findall(r"github.com/influxdata/telegraf v(\S+)", module) == [VERSION]
