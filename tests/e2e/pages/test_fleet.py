"""The page of the fleet in a real browser, on a real API whose store is being written to."""

import re

from playwright.sync_api import Locator, Page, expect

from stack.broker import Broker
from stack.services import Service
from telemetry.store import Store
from tests.e2e.pages.browsing import OpenPage, tell_state
from tests.eventually import eventually


def drawn(line: Locator) -> str:
    return line.get_attribute("d") or ""


def wait_for_chart(page: Page) -> Locator:
    line = page.locator("#rates-chart path.line.qos1")
    expect(line).to_have_attribute("d", re.compile(r"^M\d"), timeout=15_000)
    return line


def test_the_chart_moves_while_readings_arrive(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    line = wait_for_chart(page)
    seen = [drawn(line)]
    for _ in range(3):
        eventually(lambda: drawn(line) not in seen)
        seen.append(drawn(line))
    assert all("NaN" not in path for path in seen)


def test_the_page_shows_the_fleets_state_rates_latency_and_losses(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive)
    wait_for_chart(page)
    expect(page.locator("#online")).to_have_text("25")
    expect(page.locator("#devices")).to_have_text("of 30")
    expect(page.locator("#states-note")).to_contain_text("3 offline · 2 unknown")
    expect(page.locator("#latency")).to_have_text("104")
    expect(page.locator("#missing")).to_have_text(re.compile("^[1-9]"))
    expect(page.locator("#missing-levels li").nth(1).locator("b")).to_have_text("0")
    expect(page.locator("#live")).to_contain_text("Live")


def test_devices_can_be_searched_filtered_and_opened_by_keyboard(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive)
    rows = page.locator("#device-rows tr")
    expect(rows).to_have_count(12)
    page.locator("#state").select_option("offline")
    expect(rows).to_have_count(3)
    page.locator("#state").select_option("")
    page.locator("#search").fill("station-2")
    expect(rows).to_have_count(10)
    page.locator("#search").fill("<nobody>")
    expect(page.locator("#devices-note")).to_have_text("No device is like that")
    page.locator("#search").fill("station-21")
    expect(rows).to_have_count(1)
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#device-name")).to_have_text("station-21")
    page.go_back()
    expect(page.locator("#search")).to_have_value("station-21")
    expect(rows).to_have_count(1)


def test_filters_stand_in_the_address(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive, "/?prefix=station-1&state=offline&site=hall")
    rows = page.locator("#device-rows tr")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("station-17")
    page.locator("#state").select_option("")
    expect(rows).to_have_count(10)
    expect(page).to_have_url(f"{alive.url}/?prefix=station-1&site=hall")
    page.locator("#site").select_option("")
    page.locator("#search").fill("")
    expect(page).to_have_url(f"{alive.url}/")


def test_each_device_has_a_line_of_what_it_measured_lately(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive, "/?prefix=station-0")
    row = page.locator("#device-rows tr").first
    expect(row.locator(".spark path")).to_have_attribute("d", re.compile(r"^M\d.*L"))
    expect(row.locator(".spark")).to_have_attribute("aria-label", re.compile("^humidity over the"))


def test_the_chart_tells_its_values_to_the_keyboard(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    wait_for_chart(page)
    chart = page.locator("#rates-chart svg")
    chart.press("ArrowLeft")
    expect(page.locator("#rates-chart .tip")).to_contain_text("QoS 2")
    expect(chart).to_have_attribute(
        "aria-label", re.compile(r": QoS 0 [\d.]+, QoS 1 [\d.]+, QoS 2 [\d.]+$")
    )
    chart.press("Escape")
    expect(page.locator("#rates-chart .tip")).to_be_hidden()


def test_a_device_that_comes_or_goes_is_shown_at_once(
    alive: Service, broker: Broker, open_page: OpenPage
) -> None:
    page = open_page(alive, "/?prefix=station-28")
    state = page.locator("#device-rows .state")
    expect(state).to_have_text("unknown")
    tell_state(broker, "station-28", "online", 1)
    expect(state).to_have_text("online")
    tell_state(broker, "station-28", "offline", 1)
    expect(state).to_have_text("offline")


def test_the_page_says_when_there_is_no_data_yet_and_when_the_api_is_away(
    api: Service, store: Store, open_page: OpenPage
) -> None:
    page = open_page(api)
    expect(page.locator("#rates-chart .chart-empty")).to_contain_text("No readings yet")
    expect(page.locator("#banner")).to_be_hidden()
    api.stop()
    expect(page.locator("#banner")).to_contain_text("The API cannot be reached", timeout=15_000)
    expect(page.locator("#live")).to_have_text("Not connected")
    api.start()
    expect(page.locator("#banner")).to_be_hidden(timeout=15_000)
    assert store.series() == []


def test_the_page_rests_while_it_is_hidden(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    wait_for_chart(page)
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', {value: hidden, " + (
        "configurable: true}); document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.evaluate(hide, True)
    page.wait_for_load_state("networkidle")
    shown = page.locator("#live-text").text_content()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)  # that nothing happens can only be seen by waiting
    assert (asked, page.locator("#live-text").text_content()) == ([], shown)
    page.evaluate(hide, False)
    eventually(lambda: page.locator("#live-text").text_content() != shown)


def test_an_axis_tells_its_steps_apart(api: Service, open_page: OpenPage) -> None:
    page = open_page(api)
    labels = page.evaluate(
        """async (ranges) => {
          const { axis } = await import("/static/js/format.js");
          const { valueTicks } = await import("/static/js/scale.js");
          return ranges.map(([least, most]) => axis(valueTicks(least, most, 4)));
        }""",
        [[0, 1], [1013.02, 1013.31], [1234567, 1239999], [-3, 4], [0.0001, 0.0004], [5, 5]],
    )
    assert labels[1] == ["1,013", "1,013.1", "1,013.2", "1,013.3", "1,013.4"]
    assert all(len(set(axis)) == len(axis) for axis in labels)
