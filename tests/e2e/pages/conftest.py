"""A real browser, and a real API on a store that has a past and is being written to."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.store import Store
from tests.e2e.pages.browsing import ARGUMENTS, EXPECTED_WORDS, OpenPage, Scheme, tell_state
from tests.e2e.pages.pipeline import DEVICES, PAST_SECONDS, Pipeline, now_ms
from tests.eventually import STALL_SECONDS

# Chromium, the API and a fleet share the machine with other tests.
expect.set_options(timeout=1_000 * (5 + STALL_SECONDS))


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
    """Open a page; fail at the end if it logged an error or asked anybody but the API."""
    contexts, troubles = [], []

    def open_it(
        api: Service, path: str = "/", *, width: int = 1280, scheme: Scheme = "light"
    ) -> Page:
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
        page.goto(f"{api.url}{path}")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def store(local: LocalStack) -> Iterator[Store]:
    store = local.open_store(read_only=False)
    store.write([])
    yield store
    store.close()


@pytest.fixture
def api(local: LocalStack, broker: Broker, store: Store) -> Service:
    assert store.series() == []
    names = [f"station-{number:02}" for number in range(DEVICES)]
    broker.admit(names)
    for number, name in enumerate(names[:-2]):
        state = "offline" if number % 10 == 7 else "online"
        tell_state(broker, name, state, number % 3)
    return local.start_api()


@pytest.fixture
def alive(store: Store, api: Service) -> Iterator[Service]:
    """The API over a store that has a minute's past and is being written to."""
    start_ms = now_ms() - PAST_SECONDS * 1_000
    pipeline = Pipeline(store, start_ms)
    for second in range(PAST_SECONDS):
        pipeline.write_second(start_ms + second * 1_000)
    with pipeline.running():
        yield api
