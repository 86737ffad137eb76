"""Whether every relative link in the project's Markdown leads somewhere: `python -m docs.links`."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parents[1]

_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def broken_links(root: Path = ROOT) -> Iterator[str]:
    """Yield `file: link` for each link to a file, folder or heading that is not there."""
    for page in _pages(root):
        for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
            if not _ELSEWHERE.match(link) and not _leads_somewhere(page, unquote(link)):
                yield f"{page.relative_to(root)}: {link}"


def _pages(root: Path) -> list[Path]:
    found = root.rglob("*.md")
    shown = (path for path in found if not any(part[0] == "." for part in _parts(path, root)))
    return sorted(path for path in shown if _parts(path, root)[0] not in {"build", "node_modules"})


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts


def _leads_somewhere(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = page.parent / name if name else page
    if not target.exists():
        return False
    return not anchor or target.suffix != ".md" or anchor in _anchors(target)


def _anchors(page: Path) -> set[str]:
    # As GitHub makes them: lower case, without punctuation, blanks as hyphens.
    headings = _HEADING.findall(page.read_text(encoding="utf-8"))
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def main() -> None:
    """Print the broken links and exit with 1 where there are any."""
    broken = list(broken_links())
    print(*(f"leads nowhere: {link}" for link in broken), sep="\n", end="\n" if broken else "")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
