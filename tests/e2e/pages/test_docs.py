"""The page of the API's document, in a real Chromium: it needs nobody but the API."""

import pytest
from playwright.sync_api import Page

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.store.opening import open_store
from telemetry.store.settings import StoreSettings
from tests.e2e.pages.browsing import LOWEST_CONTRAST, OpenPage, Scheme


@pytest.fixture
def api(local: LocalStack, broker: Broker) -> Service:
    assert broker.is_running
    open_store(StoreSettings(store_url=local.store_url)).write([])
    return local.start_api()


def shown(api: Service, open_page: OpenPage, width: int, scheme: Scheme) -> Page:
    page = open_page(api, width=width, scheme=scheme)
    page.goto(f"{api.url}/docs")
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_it_fits_its_screen_and_can_be_read(
    api: Service, open_page: OpenPage, width: int, scheme: Scheme
) -> None:
    page = shown(api, open_page, width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text


def test_a_route_in_the_list_leads_to_its_description_by_keyboard(
    api: Service, open_page: OpenPage
) -> None:
    page = shown(api, open_page, 1280, "light")
    link = page.locator(".docs-routes a", has_text="/v1/latest").first
    link.focus()
    page.keyboard.press("Enter")
    target = page.locator(page.evaluate("location.hash"))
    assert "/v1/latest" in target.inner_text()
    # Below the bar that stays at the top.
    box = target.locator("h2").bounding_box()
    bar = page.locator("header.top").bounding_box()
    assert box is not None
    assert bar is not None
    assert box["y"] >= bar["height"]


def test_the_type_of_every_field_is_told(api: Service, open_page: OpenPage) -> None:
    page = shown(api, open_page, 1280, "light")
    assert "one of" in page.locator("#schema-ReadingsAnswer tr", has_text="aggregate").inner_text()
    assert page.locator("[id^=schema-] td", has_text="anything").all_inner_texts() == []
