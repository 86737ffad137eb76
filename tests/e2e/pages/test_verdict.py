"""The page on which a load test leaves its verdict, in a real Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from loadtest.objectives import Judged, Measured, Operation
from loadtest.verdict import write_verdict
from tests.e2e.pages.browsing import LOWEST_CONTRAST, Scheme

MEASURED = Measured(
    [
        Operation("device latest", "readers", 1_234_567, 12, 4.5, 1_028, 12_345),
        Operation("publish:qos1", "publishers", 123_456, 0, 4.5, 28, 345),
    ],
    rate_percent=99.9,
    seconds=3600,
)
JUDGED = [
    Judged("all of readers failure_percent, at most", 0.1, 0, met=True),
    Judged("device latest p95_ms, at most", 100, 1_028, met=False),
    Judged("stream resume p95_ms, at most", 100, None, met=False),
]


@pytest.mark.parametrize(("width", "scheme"), [(360, "dark"), (360, "light"), (1280, "dark")])
def test_it_fits_its_screen_and_can_be_read(
    browser: Browser, tmp_path: Path, width: int, scheme: Scheme
) -> None:
    write_verdict(JUDGED, MEASURED, tmp_path)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.goto((tmp_path / "verdict.html").as_uri())

    assert page.locator("h1").inner_text() == "Load test: 2 objectives were missed"
    assert page.locator("tr.missed").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(244, 246, 249)"
    assert light == (scheme == "light")
    context.close()
