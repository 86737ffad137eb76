"""What the charts of the measurements share: an SVG that is light or dark as its reader is."""

from collections.abc import Iterable
from xml.sax.saxutils import escape

_STYLE = """
text{font:12px system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2328} .head{font-weight:600}
.note{fill:#59636e} .ours{fill:#2f6fde} .theirs{fill:#afb8c1} .missed{fill:#c93c37}
.line{stroke:#d1d9e0} .curve{stroke:#2f6fde;fill:none;stroke-width:2}
@media (prefers-color-scheme:dark){text{fill:#e6edf3} .note{fill:#9198a1} .ours{fill:#4d8dff}
.theirs{fill:#5b636d} .missed{fill:#f47067} .line{stroke:#3d444d} .curve{stroke:#4d8dff}}
"""


def svg(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """Return a drawing of its parts."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            *parts,
            "</svg>",
            "",
        ]
    )


def text(left: float, base: float, words: str, style: str = "", anchor: str = "start") -> str:
    """Return words that begin, end or have their middle at a place."""
    named = f' class="{style}"' if style else ""
    anchored = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text{named} x="{left:.1f}" y="{base:.1f}"{anchored}>{escape(words)}</text>'


def bar(left: float, top: float, width: float, height: float, style: str) -> str:
    """Return a bar."""
    return (
        f'<rect class="{style}" x="{left:.1f}" y="{top:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}"/>'
    )


def line(left: float, top: float, right: float, bottom: float) -> str:
    """Return a thin line."""
    ends = f'x1="{left:.1f}" y1="{top:.1f}" x2="{right:.1f}" y2="{bottom:.1f}"'
    return f'<line class="line" {ends}/>'


def number(value: float) -> str:
    """Return a figure with as many digits as it is worth."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.3g}"
