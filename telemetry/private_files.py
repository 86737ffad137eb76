"""Files that hold secrets: only their owner can read them."""

import os
import pwd
from pathlib import Path


def write_private(path: Path, text: str, *, owner: str | None = None) -> Path:
    """Write a file that only its owner can read, in one step for whoever reads it meanwhile."""
    new = path.with_name(f"{path.name}.new")
    # Made here and not followed: it may stand in a folder in which others can write.
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
        file.write(text)
    give(new, owner)
    return new.rename(path)


def give(path: Path, owner: str | None) -> None:
    """Make the user named `owner` the owner of a file or folder; None leaves it ours."""
    if owner is not None:
        entry = pwd.getpwnam(owner)
        os.chown(path, entry.pw_uid, entry.pw_gid)
