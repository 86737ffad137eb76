"""The readings in a quarantine, as the audit sees stored ones.

It asks ingest's own command, as a person would: what the files look like is ingest's business.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from stack import StackError
from stack.process import ROOMS
from telemetry.store import StoredSequence

_WITHIN_SECONDS = 60


class Record(Struct, frozen=True):
    """What this package looks at of a quarantined message."""

    topic: str
    qos: int
    reason: str
    payload: bytes
    index: int | None = None


class _Native(Struct, frozen=True):
    ts: int
    boot: int
    seq: int


def records(folder: Path) -> list[Record]:
    """Return what is in a quarantine."""
    if not folder.is_dir():
        return []
    asked = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "ingest", "quarantine", "list", "--json", str(folder)],
        cwd=ROOMS,
        env={"PATH": os.environ.get("PATH", os.defpath)},
        capture_output=True,
        timeout=_WITHIN_SECONDS,
        check=False,
    )
    if asked.returncode != 0:
        raise StackError(f"quarantine list: {asked.stderr.decode().strip()}")
    return [msgspec.json.decode(line, type=Record) for line in asked.stdout.splitlines()]


def readings(folders: Iterable[Path]) -> Iterator[StoredSequence]:
    """Yield the readings that can be told from each other; other messages are passed over."""
    for folder in folders:
        for record in records(folder):
            try:
                native = msgspec.json.decode(record.payload, type=_Native)
                _root, site, device, measurement = record.topic.split("/")
            except (msgspec.DecodeError, ValueError):
                continue
            yield StoredSequence(site, device, measurement, native.ts, native.boot, native.seq)
