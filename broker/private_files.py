"""Files that hold secrets: only their owner can read them."""

import os
import shutil
from pathlib import Path


def write_private(path: Path, text: str, *, owner: str | None = None) -> Path:
    """Write a file of mode 0600, a new one in the place of an old; `owner` None leaves it ours."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
    give(path, owner)
    return path


def private_folder(path: Path, *, owner: str | None = None) -> Path:
    """Make a folder that only its owner can enter; PermissionError where it is somebody else's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It may stand in a temporary folder of everybody's: do not follow what another put there.
    if path.is_symlink() or not (os.geteuid() == 0 or path.stat().st_uid == os.geteuid()):
        raise PermissionError(f"{path} belongs to another user")
    path.chmod(0o700)
    give(path, owner)
    return path


def give(path: Path, owner: str | None) -> None:
    """Make the user named `owner` the owner of a file or folder; None leaves it ours."""
    if owner is not None:
        shutil.chown(path, owner)
