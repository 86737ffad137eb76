import os
import stat
from pathlib import Path

import pytest

from stack.workspace import Workspace
from telemetry.private_files import write_private


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_secret_is_for_its_owner_only() -> None:
    workspace = Workspace()
    path = workspace.secret("password", "a word")

    assert path.read_text() == "a word"
    assert (_mode(path), _mode(path.parent)) == (0o600, 0o700)
    workspace.close()


def test_a_secret_that_is_written_again_stays_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("old")
    path.chmod(0o644)

    write_private(path, "new")

    assert path.read_text() == "new"
    assert _mode(path) == 0o600


def test_closing_removes_the_folder() -> None:
    workspace = Workspace()
    workspace.secret("password", "a word")

    workspace.close()

    assert not workspace.folder.exists()


def test_the_folder_of_a_killed_process_is_removed_by_the_next() -> None:
    abandoned, young = Workspace(), Workspace()
    for workspace in (abandoned, young):
        os.close(workspace._lock)
    os.utime(abandoned.folder / ".lock", (0, 0))

    Workspace().close()

    assert not abandoned.folder.exists()
    assert young.folder.exists()
    os.utime(young.folder / ".lock", (0, 0))
    Workspace().close()


def test_the_folder_of_a_living_process_is_left_alone() -> None:
    living = Workspace()
    os.utime(living.folder / ".lock", (0, 0))

    Workspace().close()

    assert living.folder.exists()
    living.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts Mosquitto as another user")
def test_the_folder_can_be_passed_through_by_the_brokers_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    tmp_path.chmod(0o700)
    workspace = Workspace()

    assert all(_mode(folder) & 0o001 for folder in (workspace.folder, *workspace.folder.parents))
    workspace.close()
