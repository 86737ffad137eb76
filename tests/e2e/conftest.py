"""What end-to-end tests share: a real InfluxDB as the store of a stack, and a real browser."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.services import Service
from tests.e2e.browsing import ARGUMENTS, EXPECTED_WORDS, OpenPage, Scheme


@pytest.fixture
def influxd(influxd_installed: None, local: LocalStack) -> Influxd:  # noqa: ARG001
    """A real InfluxDB, set up, as the store of the test's stack."""
    return local.start_influxdb()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium is not None, "Chromium is not installed: apt-get install chromium"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open the page; fail at the end if it logged an error or asked anybody but the API."""
    contexts, troubles = [], []

    def open_it(api: Service, *, width: int = 1280, scheme: Scheme = "light") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda line: (
                troubles.append(line.text)
                if line.type in ("error", "warning")
                and not any(words in line.text for words in EXPECTED_WORDS)
                else None
            ),
        )
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(api.url) else troubles.append(asked.url),
        )
        page.goto(f"{api.url}/")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []
