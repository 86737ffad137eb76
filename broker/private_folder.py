"""A folder for files that hold secrets."""

import os
from pathlib import Path

from telemetry.private_files import give


def private_folder(path: Path, *, owner: str | None = None) -> Path:
    """Make a folder that only its owner can enter; PermissionError where it is somebody else's."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    # It may stand in a temporary folder of everybody's: do not follow what another put there.
    if path.is_symlink() or not (os.geteuid() == 0 or path.stat().st_uid == os.geteuid()):
        raise PermissionError(f"{path} belongs to another user")
    path.chmod(0o700)
    give(path, owner)
    return path
