"""CPU of processes with all that they have started, and of the machine, from /proc (proc(5))."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


class _Used(NamedTuple):
    pid: int
    parent: int
    ticks: int


def used_seconds(pid: int) -> float:
    """Return what a process, its descendants and those of them that have ended have used.

    Whatever session they are in: each of PostgreSQL's has one of its own.
    """
    found = list(_processes())
    family = {pid}
    while more := {one.pid for one in found if one.parent in family} - family:
        family |= more
    return sum(one.ticks for one in found if one.pid in family) / _TICKS_A_SECOND


def idle_seconds() -> float:
    """Return how long all cores together have had nothing to do."""
    ticks = (_PROC / "stat").read_text().split(maxsplit=6)[4]
    return int(ticks) / _TICKS_A_SECOND


def cores() -> int:
    """Return how many cores there are."""
    return os.cpu_count() or 1


def _processes() -> Iterator[_Used]:
    for path in _PROC.glob("[0-9]*/stat"):
        with suppress(OSError):
            # Behind the name: state, parent, …; utime, stime, cutime and cstime are at 11 to 14.
            fields = path.read_text().rpartition(")")[2].split()
            yield _Used(int(path.parent.name), int(fields[1]), sum(map(int, fields[11:15])))
