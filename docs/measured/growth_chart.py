"""The charts of costs as the work grows: small curves side by side, the axis in powers of ten.

One for each axis, two curves wide, so that a phone shows them large enough to be read.
"""

from collections.abc import Iterator
from math import log10

from docs.measured import Curve
from docs.measured.drawing import bar, line, number, svg, text

_COLUMNS, _WIDTH, _HEIGHT = 2, 240, 184
_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 20, 62, 188, 72
_DOT = 6


def growth_chart(curves: list[Curve]) -> str:
    """Return the drawing of the curves of one axis; the height of each begins at zero."""
    lines = -(-len(curves) // _COLUMNS)
    parts = [
        part
        for place, curve in enumerate(curves)
        for part in _curve(curve, place % _COLUMNS * _WIDTH, place // _COLUMNS * _HEIGHT)
    ]
    return svg(f"Costs by {curves[0].axis}", _COLUMNS * _WIDTH, lines * _HEIGHT, parts)


def _curve(curve: Curve, left: int, top: int) -> Iterator[str]:
    (first_x, least), (last_x, last_value) = curve.points[0], curve.points[-1]
    most = max(value for _x, value in curve.points) or 1.0
    first, last = log10(first_x), log10(last_x)
    floor = top + _TOP + _PLOT_HEIGHT
    places = [
        (
            left + _LEFT + (log10(x) - first) / ((last - first) or 1.0) * _PLOT_WIDTH,
            floor - value / most * _PLOT_HEIGHT,
        )
        for x, value in curve.points
    ]
    yield text(left + 4, top + 16, curve.what, "head")
    if least and last_x > first_x:
        grown = f"{number(last_value / least)} times for {number(last_x / first_x)} times"
        yield text(left + 4, top + 33, grown, "note")
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
