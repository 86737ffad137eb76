"""The figures of `make bench` as the documentation tells them: a table and charts from one run.

`docs/bench.json` is that run's; what stands between marks in docs/performance.md is made from it.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.row import Row
from docs.links import ROOT

FIGURES = ROOT / "docs" / "bench.json"
PAGE = ROOT / "docs" / "performance.md"
COMPARED = ROOT / "docs" / "images" / "compared.svg"
GROWTH = {
    axis: ROOT / "docs" / "images" / f"growth-{axis}.svg"
    for axis in ("devices", "fields", "batch", "window", "stored", "connected")
}
_POINT = re.compile(r"(?P<what>.+) at (?P<axis>\w+)=(?P<value>\d+)")


class Curve(Struct, frozen=True):
    """What was measured, over what it was varied, and the points."""

    what: str
    axis: str
    points: list[tuple[int, float]]


def read(path: Path = FIGURES) -> list[Row]:
    """Return the rows of a run."""
    return msgspec.json.decode(path.read_bytes(), type=list[Row])


def compared(rows: list[Row]) -> list[Row]:
    """Return the rows that stand against a baseline and say what was to be reached."""
    return [row for row in rows if row.ratio is not None and _POINT.fullmatch(row.name) is None]


def curves(rows: list[Row]) -> list[Curve]:
    """Return the curves whose points are rows named `… at AXIS=NUMBER`."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for row in rows:
        point = _POINT.fullmatch(row.name)
        if point is not None and row.ours is not None:
            key = point["what"], point["axis"]
            found.setdefault(key, []).append((int(point["value"]), row.ours))
    return [Curve(what, axis, sorted(points)) for (what, axis), points in found.items()]


def merged(old: list[Row], new: list[Row]) -> list[Row]:
    """Return the rows of two runs: the new one's in place of the old ones of the same name."""
    by_name: Mapping[str, Row] = {row.name: row for row in [*old, *new]}
    return list(by_name.values())
