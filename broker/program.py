"""Mosquitto itself: where it is, and whom it runs as."""

import os
import pwd
import shutil
from pathlib import Path

MISSING = "Mosquitto is not installed: apt-get install mosquitto"


def find_mosquitto() -> Path | None:
    """Return the path of Mosquitto; Debian puts it where a user's PATH does not look."""
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which("mosquitto", path=places)
    return None if found is None else Path(found)


def mosquitto_user() -> str | None:
    """Return whom Mosquitto becomes when it is started by us; None is who we are."""
    if os.geteuid() != 0:
        return None
    users = {entry.pw_name for entry in pwd.getpwall()}
    return "mosquitto" if "mosquitto" in users else "nobody"
