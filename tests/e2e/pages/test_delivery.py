"""The page of delivery in a real browser: the QoS levels side by side, and over a range."""

import re

from playwright.sync_api import Locator, Page, expect

from stack.services import Service
from tests.e2e.pages.browsing import OpenPage


def row(page: Page, name: str) -> Locator:
    return page.locator("#sides-rows tr").filter(has=page.get_by_role("rowheader", name=name)).first


def test_the_levels_stand_side_by_side(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive, "/delivery")
    heads = page.locator("#sides-head th .level-name")
    expect(heads).to_have_text(["QoS 0", "QoS 1", "QoS 2", "Unknown"])
    expect(row(page, "Acknowledged").locator("td").first).to_have_text("not asked")
    expect(row(page, "Missing").locator("td").nth(0)).to_have_class("number warn")
    expect(row(page, "Missing").locator("td").nth(1)).to_have_text("0")
    expect(row(page, "Latency p99").locator("td").nth(2)).to_have_text("104 ms")
    expect(row(page, "Devices online").locator("td").nth(1)).to_have_text("8 of 9")
    expect(page.locator("#balance-note")).to_contain_text("1 replica")


def test_its_charts_show_rates_latency_and_losses_over_a_range(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive, "/delivery?range=10m")
    for chart, count in zip(page.locator("#history-charts .chart").all(), (3, 3, 1), strict=True):
        drawn = chart.locator('path.line[d^="M"]')
        expect(drawn).to_have_count(count)
        for line in drawn.all():
            assert "NaN" not in (line.get_attribute("d") or "")
    chart = page.locator("#history-charts svg").first
    chart.press("ArrowLeft")
    expect(chart).to_have_attribute("aria-label", re.compile(r"QoS 1 \d"))


def test_a_range_that_is_refused_is_said_beside_it(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive, "/delivery?start=2020-01-01T00:00:00Z&stop=2021-01-01T00:00:00Z")
    expect(page.locator("#range-error")).to_contain_text("at most 744 h is allowed.")
    expect(page.locator("#live")).to_contain_text("Live")
