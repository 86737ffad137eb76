"""The chart of a comparison: an SVG that is light or dark as its reader is."""

from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape

from msgspec import Struct

from bench.compare.figures import Compared
from docs.comparison import Results

_ROW, _TOP, _NAMES, _GAP, _LABEL = 24, 58, 136, 26, 64
_BAR = 13
_STYLE = """
.back{fill:none} text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328}
.head{font-weight:600} .note{fill:#59636e} .bar{fill:#2f6fde} .low{fill:#9bbcf5} .lost{fill:#c93c37}
.line{stroke:#d1d9e0}
@media (prefers-color-scheme:dark){text{fill:#e6edf3} .note{fill:#9198a1} .bar{fill:#4d8dff}
.low{fill:#2b4c86} .lost{fill:#f47067} .line{stroke:#3d444d}}
"""


class Panel(Struct, frozen=True):
    """A column of bars: its heading, its width, and each row's value and label.

    `upto`, where a bar has two parts, is the end of the first one.
    """

    heading: str
    note: str
    width: int
    value: Callable[[Compared], float | None]
    label: Callable[[Compared], str]
    upto: Callable[[Compared], float | None] = lambda _one: None
    style: str = "bar"


def _p50(one: Compared) -> float | None:
    return one.latency_ms and one.latency_ms.p50  # type: ignore[return-value]


def _p99(one: Compared) -> float | None:
    return one.latency_ms and one.latency_ms.p99  # type: ignore[return-value]


_PANELS = (
    Panel(
        "readings/s",
        "in packs; inner: one a message",
        190,
        lambda one: one.readings_per_second,
        lambda one: f"{one.readings_per_second:,.0f}",
        lambda one: one.single_readings_per_second,
        "low",
    ),
    Panel(
        "latency, ms",
        "at 1,000 readings/s: p50, p99",
        150,
        _p99,
        lambda one: f"{_p50(one):.0f} · {_p99(one):.0f}",
        _p50,
        "low",
    ),
    Panel(
        "bytes a reading",
        "one a message",
        130,
        lambda one: one.bytes_per_reading,
        lambda one: f"{one.bytes_per_reading:,.0f}",
    ),
    Panel(
        "lost",
        "ingest killed + away for 10 s",
        110,
        lambda one: None if one.lost_away is None else (one.lost_sigkill or 0) + one.lost_away,
        lambda one: f"{(one.lost_sigkill or 0) + (one.lost_away or 0):,}",
        style="lost",
    ),
)


def chart(results: Results) -> str:
    """Return the SVG of a run."""
    width = _NAMES + sum(panel.width + _LABEL + _GAP for panel in _PANELS)
    height = _TOP + _ROW * len(results) + 8
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        "<title>Every way into ingest, side by side</title>",
        f"<style>{_STYLE}</style>",
    ]
    for number, name in enumerate(results):
        parts.append(_text(0, _middle(number) + 4, name))
    left = _NAMES
    for panel in _PANELS:
        parts += _panel(panel, left, results)
        left += panel.width + _LABEL + _GAP
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, left: int, results: Results) -> Iterator[str]:
    yield _text(left, 20, panel.heading, "head")
    yield _text(left, 38, panel.note, "note")
    bottom = _TOP + _ROW * len(results)
    yield f'<line class="line" x1="{left}" y1="{_TOP - 8}" x2="{left}" y2="{bottom}"/>'
    most = max((panel.value(one) or 0.0 for one in results.values()), default=0.0) or 1.0
    for number, one in enumerate(results.values()):
        value = panel.value(one)
        if value is None:
            yield _text(left + 6, _middle(number) + 4, "not measured", "note")
            continue
        size = value / most * panel.width
        yield _bar(left, number, size, panel.style)
        if (upto := panel.upto(one)) is not None:
            yield _bar(left, number, min(upto / most * panel.width, size), "bar")
        yield _text(left + size + 6, _middle(number) + 4, panel.label(one))


def _bar(left: int, number: int, size: float, style: str) -> str:
    top = _middle(number) - _BAR / 2
    return f'<rect class="{style}" x="{left}" y="{top}" width="{size:.1f}" height="{_BAR}"/>'


def _middle(number: int) -> float:
    return _TOP + _ROW * number + _ROW / 2


def _text(left: float, base: float, words: str, style: str = "") -> str:
    named = f' class="{style}"' if style else ""
    return f'<text{named} x="{left:.1f}" y="{base:.1f}">{escape(words)}</text>'
