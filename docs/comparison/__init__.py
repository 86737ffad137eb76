"""The ways side by side, as the documentation tells it: tables, claims and a chart from one run.

`docs/compare.json` is that run's; all that stands in the pages is made from it.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from bench.compare.figures import Compared
from docs.comparison.words import Language
from docs.links import ROOT

FIGURES = ROOT / "docs" / "compare.json"
CHART = ROOT / "docs" / "images" / "compare.svg"
PAGES: dict[Language, Path] = {
    "en": ROOT / "docs" / "choosing.md",
    "id": ROOT / "docs" / "id" / "choosing.md",
}

Results = Mapping[str, Compared]


def read(path: Path = FIGURES) -> dict[str, Compared]:
    """Return a run's rows by name, in their order."""
    rows = msgspec.json.decode(path.read_bytes(), type=list[Compared])
    return {row.name: row for row in rows}
