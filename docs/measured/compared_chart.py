"""The chart of what is compared: for each figure ours and the baseline's, and what was asked."""

from collections.abc import Iterator

from bench.row import Row
from docs.measured.drawing import bar, line, number, svg, text

_ROW, _TOP, _NAMES, _BARS, _WORDS = 46, 40, 430, 240, 260
_BAR = 13


def compared_chart(rows: list[Row]) -> str:
    """Return the drawing; each pair of bars has a scale of its own."""
    width, height = _NAMES + _BARS + _WORDS, _TOP + _ROW * len(rows)
    return svg("Ingest beside its baselines", width, height, _parts(rows))


def _parts(rows: list[Row]) -> Iterator[str]:
    yield text(_NAMES, 20, "ours, and the baseline below it", "head")
    yield text(_NAMES + _BARS + 16, 20, "ratio, and what was to be reached", "head")
    yield line(_NAMES, _TOP - 8, _NAMES, _TOP + _ROW * len(rows))
    for place, row in enumerate(rows):
        top = _TOP + _ROW * place
        ours, theirs = row.ours or 0.0, row.baseline or 0.0
        most = max(ours, theirs) or 1.0
        room = _BARS - 76
        yield text(0, top + 20, row.name)
        for value, style, down in (
            (ours, "ours" if row.reached else "missed", 2),
            (theirs, "theirs", 18),
        ):
            size = value / most * room
            yield bar(_NAMES, top + down, size, _BAR, style)
            yield text(_NAMES + size + 6, top + down + 11, number(value), "note")
        word = "reached" if row.reached else "not reached"
        yield text(_NAMES + _BARS + 16, top + 13, f"{row.ratio:.2f}", "head")
        yield text(_NAMES + _BARS + 66, top + 13, f"{row.target}: {word}", "note")
