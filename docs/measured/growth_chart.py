"""The chart of costs as the work grows: small curves side by side, the axis in powers of ten."""

from collections.abc import Iterator
from math import log10

from docs.measured import Curve
from docs.measured.drawing import bar, line, number, svg, text

_COLUMNS, _WIDTH, _HEIGHT = 3, 320, 190
_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 14, 44, 262, 92
_DOT = 6


def growth_chart(curves: list[Curve]) -> str:
    """Return the drawing; every curve begins at zero."""
    lines = -(-len(curves) // _COLUMNS)
    parts = [
        part
        for place, curve in enumerate(curves)
        for part in _curve(curve, place % _COLUMNS * _WIDTH, place // _COLUMNS * _HEIGHT)
    ]
    return svg("Costs as the work grows", _COLUMNS * _WIDTH, lines * _HEIGHT, parts)


def _curve(curve: Curve, left: int, top: int) -> Iterator[str]:
    most = max(value for _x, value in curve.points) or 1.0
    first, last = (log10(curve.points[place][0]) for place in (0, -1))
    floor = top + _TOP + _PLOT_HEIGHT
    places = [
        (
            left + _LEFT + (log10(x) - first) / ((last - first) or 1.0) * _PLOT_WIDTH,
            floor - value / most * _PLOT_HEIGHT,
        )
        for x, value in curve.points
    ]
    yield text(left, top + 16, curve.what, "head")
    yield line(left + _LEFT, floor, left + _LEFT + _PLOT_WIDTH, floor)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline class="curve" points="{path}"/>'
    for (x, y), (value_x, value_y) in zip(places, curve.points, strict=True):
        yield bar(x - _DOT / 2, y - _DOT / 2, _DOT, _DOT, "ours")
        yield text(x, y - 8, number(value_y), "note", "middle")
        yield text(x, floor + 16, _short(value_x), "note", "middle")
    yield text(left + _LEFT + _PLOT_WIDTH / 2, floor + 34, curve.axis, "note", "middle")


def _short(value: int) -> str:
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return str(value)
