"""`denyut-setup` as a process of its own, told everything by standard input."""

import os
import subprocess
import sys
from typing import Any

import msgspec
from msgspec import Struct

from stack.process import ROOMS

TIMEOUT_SECONDS = 60


class Ended(Struct, frozen=True):
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def answer(self) -> dict[str, Any]:
        """The one object on standard output."""
        return msgspec.json.decode(self.stdout, type=dict[str, Any])


def setup_command(
    url: str, *arguments: str, bucket: str = "telemetry", stdin: bytes = b"", **settings: str
) -> Ended:
    """Run a command without any file of ours; the settings are SETUP_…"""
    ended = subprocess.run(
        [sys.executable, "-m", "stack.setup", *arguments],
        cwd=ROOMS,
        env=environment(url, bucket, **settings),
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr.decode())


def environment(url: str, bucket: str, **settings: str) -> dict[str, str]:
    """Return all that a command is told by its environment."""
    told = {"url": url, "bucket": bucket, **settings}
    named = {f"SETUP_{key.upper()}": value for key, value in told.items()}
    inherited = {key: os.environ[key] for key in ("PATH", "TMPDIR") if key in os.environ}
    return {**inherited, **named}


def line(given: object) -> bytes:
    """Return an object as one line."""
    return msgspec.json.encode(given) + b"\n"
