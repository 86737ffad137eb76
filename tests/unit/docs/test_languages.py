"""A page in Indonesian says what the English one says: same parts, same commands, same figures."""

import re

import pytest

from docs.consoles import blocks
from docs.links import ROOT

ENGLISH = ROOT / "docs"
INDONESIAN = ENGLISH / "id"
PAGES = sorted(path.name for path in INDONESIAN.glob("*.md"))
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?:\.\./)*([^)#]+)[^)]*\)")


@pytest.mark.parametrize("name", PAGES)
def test_both_have_the_same_blocks(name: str) -> None:
    english, indonesian = _both(name)
    assert blocks(english) == blocks(indonesian)


@pytest.mark.parametrize("name", PAGES)
def test_both_have_the_same_headings_and_tables(name: str) -> None:
    english, indonesian = _both(name)
    assert _shape(english) == _shape(indonesian)


@pytest.mark.parametrize("name", PAGES)
def test_both_link_to_the_same_pages_and_to_each_other(name: str) -> None:
    english, indonesian = (set(_LINK.findall(_prose(page))) for page in _both(name))
    assert english - {f"id/{name}"} == indonesian - {name}
    assert f"id/{name}" in english
    assert name in indonesian


def _both(name: str) -> list[str]:
    return [(folder / name).read_text(encoding="utf-8") for folder in (ENGLISH, INDONESIAN)]


def _prose(page: str) -> str:
    return _CODE.sub("", page)


def _shape(page: str) -> list[str]:
    """Return what a page is made of, in order: headings by level, rows by their cells."""
    parts = re.findall(r"^(#+) |^(\|.*\|)$", _prose(page), re.MULTILINE)
    return [level or str(row.count("|")) for level, row in parts]
