"""The page of a device in a real browser: charts of a range, what is missing, what is refused."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from stack.services import Service
from tests.e2e.pages.browsing import OpenPage


def note(page: Page) -> Locator:
    return page.locator("#readings-note")


def lines(page: Page) -> Locator:
    return page.locator("#field-charts path.line")


def wait_for_charts(page: Page) -> None:
    expect(lines(page)).to_have_count(2)
    for line in lines(page).all():
        expect(line).to_have_attribute("d", re.compile(r"^M\d.*L"))


def test_a_device_has_a_chart_for_each_field_that_holds_numbers(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive, "/devices/station-01")
    wait_for_charts(page)
    expect(page).to_have_title("station-01 · Denyut")
    expect(page.locator("#device-state")).to_have_text("online")
    expect(page.locator("#device-facts")).to_contain_text("QoS1")
    expect(page.locator("#field-charts h3")).to_have_text(["humidity", "temperature"])
    expect(page.locator("#field-charts .unit")).to_have_text(["%", "°C"])
    expect(note(page)).to_have_text("Each reading of the last 10 minutes")


def test_a_range_is_chosen_by_keyboard_and_stands_in_the_address(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive, "/devices/station-01")
    wait_for_charts(page)
    page.get_by_role("radio", name="10 min").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"{alive.url}/devices/station-01?range=1h")
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(f"{alive.url}/devices/station-01?range=6h")
    expect(note(page)).to_have_text("Mean of each 2 min, tinted from least to most")
    page.reload()
    expect(page.get_by_role("radio", name="6 h")).to_be_checked()
    expect(note(page)).to_contain_text("Mean of each 2 min")
    page.go_back()
    page.go_back()
    expect(page).to_have_url(f"{alive.url}/devices/station-01")
    expect(note(page)).to_contain_text("Each reading")


def test_times_of_ones_own_are_shown_and_refused_in_words(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(
        alive, "/devices/station-01?start=2026-01-31T12:00:00Z&stop=2026-02-01T12:00:00Z"
    )
    expect(page.get_by_role("radio", name="Other")).to_be_checked()
    expect(note(page)).to_contain_text("in this range")
    error = page.locator("#range-error")
    page.get_by_label("From").fill("2026-02-02T12:00:00")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(error).to_have_text("Give two times, the first one before the second.")
    page.get_by_label("From").fill("2020-02-02T12:00:00")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("start=2020-02-0"))
    expect(error).to_contain_text("at most 744 h is allowed.")
    expect(page.locator("#live")).to_contain_text("Live")
    page.get_by_role("radio", name="10 min").check()
    expect(error).to_be_empty()
    wait_for_charts(page)


def test_what_is_missing_is_named_and_marked_in_the_charts(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive, "/devices/station-00")
    wait_for_charts(page)
    expect(page.locator("#gaps-missing")).to_have_text(re.compile("^[1-9]"))
    expect(page.locator("#gap-rows tr").last.locator("td").last).to_have_text("1")
    expect(page.locator("#gaps-note")).to_contain_text("QoS 0 may lose readings on the way.")
    expect(page.locator("#field-charts .spans rect").first).to_be_visible()
    expect(note(page)).to_contain_text("readings are missing")
    page.goto(f"{alive.url}/devices/station-01")
    expect(page.locator("#gaps-missing")).to_have_text("0")
    expect(page.locator("#gap-rows tr")).to_have_count(0)


def test_text_of_devices_is_shown_as_text(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive, "/devices/station-01")
    wait_for_charts(page)
    expect(page.locator("#device-facts")).to_contain_text("<b>station</b>")
    expect(page.locator("#text-facts")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("name", ["nobody", "a:b.c-d_e"])
def test_a_device_that_is_not_known_is_said(alive: Service, open_page: OpenPage, name: str) -> None:
    page = open_page(alive, f"/devices/{name}")
    expect(page.locator("#device-facts")).to_have_text(f"No device '{name}' is known.")
    expect(page.locator("#readings")).to_be_hidden()


def test_a_command_to_a_device_that_is_offline_is_refused_in_words(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive, "/devices/station-07")
    page.get_by_role("button", name="Send reboot").click()
    answer = page.locator("#answers li").first
    expect(answer).to_contain_text("Device 'station-07' is not online.")
    page.get_by_label("Period (ms)").fill("5")
    page.keyboard.press("Enter")
    expect(page.locator(".command .error").first).to_contain_text("100")
    expect(page.get_by_label("Period (ms)")).to_be_focused()
    expect(page.locator("#answers li")).to_have_count(1)
