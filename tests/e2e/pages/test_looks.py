"""How the pages look and are used: on every screen, light and dark, by keyboard, without motion."""

import re

import pytest
from playwright.sync_api import Page, expect

from stack.services import Service
from tests.e2e.pages.browsing import (
    LOWEST_CONTRAST,
    LOWEST_SHAPE_CONTRAST,
    OpenPage,
    Scheme,
)

PAGES = [
    "/",
    "/devices/station-00",
    "/devices/station-00?start=2026-01-30&stop=2026-01-31",
    "/delivery",
]
FOCUSED = """() => {
  const node = document.activeElement;
  const shown = node.type === "radio" ? node.nextElementSibling : node;
  const style = getComputedStyle(shown);
  const box = shown.getBoundingClientRect();
  const top = document.querySelector(".top").getBoundingClientRect().bottom;
  return {
    name: node.id || node.textContent.trim() || node.value,
    outline: style.outlineStyle,
    isSeen: box.bottom > 0 && box.top < innerHeight && box.width > 0 &&
      (box.bottom > top || node.closest(".top, .skip") !== null),
  };
}"""


def wait_until_shown(page: Page) -> None:
    expect(page.locator("#live")).to_contain_text("Live", timeout=15_000)
    expect(page.locator('path.line[d^="M"]').first).to_be_attached(timeout=15_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_every_page_fits_its_screen_and_can_be_read(
    alive: Service, open_page: OpenPage, width: int, scheme: Scheme
) -> None:
    for path in PAGES:
        page = open_page(alive, path, width=width, scheme=scheme)
        expect(page.locator("#live")).to_contain_text("Live", timeout=15_000)
        if "start" not in path:
            wait_until_shown(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        contrast, what = page.evaluate(LOWEST_CONTRAST)
        assert contrast >= 4.5, (path, what)
        contrast, what = page.evaluate(LOWEST_SHAPE_CONTRAST)
        assert contrast >= 3.0, (path, what)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(244, 246, 249)", "dark": "rgb(12, 16, 22)"}[scheme]
        page.close()


@pytest.mark.parametrize("path", ["/", "/devices/station-00", "/delivery"])
def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(
    alive: Service, open_page: OpenPage, path: str
) -> None:
    page = open_page(alive, path)
    wait_until_shown(page)
    names: list[str] = []
    while len(names) < 60 and names[-1:] != ["Metrics"]:
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        names.append(focused["name"])
        assert focused["outline"] != "none", focused
        assert focused["isSeen"], focused
    assert names[:5] == ["Skip to the content", "Denyut", "Fleet", "Delivery", "API"]
    assert names[-1] == "Metrics"


def test_a_link_skips_to_the_content(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_nothing_moves_for_those_who_want_no_motion(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    wait_until_shown(page)
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate("document.getAnimations().length") > 0


@pytest.mark.parametrize("path", ["/", "/devices/station-00", "/delivery", "/docs"])
def test_no_page_holds_a_script_or_a_style_of_its_own(api: Service, path: str) -> None:
    status, text = api.get(path)
    assert status == 200
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r"<script(?! type=\"module\" src=\"/static/)", text)
    assert not re.search(r'(?:src|href)="(?!/|#)', text)
