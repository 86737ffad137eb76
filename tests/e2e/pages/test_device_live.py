"""The page of a device before the whole pipeline: a stream of readings, commands and answers."""

import re

import pytest
from playwright.sync_api import Locator, expect

from stack.local import LocalStack
from stack.services import Service
from tests.e2e.pages.browsing import OpenPage
from tests.eventually import eventually

DEVICE = "/devices/meter-00000"


@pytest.fixture
def api(local: LocalStack) -> Service:
    """The API of a pipeline whose devices obey."""
    local.start_broker()
    local.start_ingest()
    api = local.start_api()
    local.start_fleet("demo", devices=6)
    eventually(lambda: api.get("/v1/devices/meter-00000")[0] == 200)
    return api


def test_readings_are_drawn_as_they_come_without_being_asked_for(
    api: Service, open_page: OpenPage
) -> None:
    page = open_page(api, DEVICE)
    line = page.locator("#field-charts path.line").first
    expect(line).to_have_attribute("d", re.compile(r"^M\d.*L"))
    seen = [line.get_attribute("d")]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    def drawn_without_asking() -> bool:
        asked.clear()
        wait_for_changes(line, seen, 6)
        return not any("/readings" in url for url in asked)

    # Until the stream has begun, the page asks every second.
    eventually(drawn_without_asking, deadline_seconds=60, what="drawing without asking")
    assert len([url for url in asked if url.endswith(DEVICE)]) < 5


def wait_for_changes(line: Locator, seen: list[str | None], count: int) -> None:
    for _ in range(count):
        eventually(lambda: line.get_attribute("d") not in seen)
        seen.append(line.get_attribute("d"))


def test_a_device_answers_commands_and_what_it_drops_is_missing(
    api: Service, open_page: OpenPage
) -> None:
    page = open_page(api, DEVICE)
    answer = page.locator("#answers li").first
    page.get_by_label("Period (ms)").fill("200")
    page.get_by_label("Period (ms)").press("Enter")
    expect(answer).to_contain_text("Done")
    page.get_by_label("Fault", exact=True).fill("nothing")
    page.get_by_role("button", name="Send set-fault").click()
    expect(answer).to_contain_text("The device refuses: not a fault of this device")
    page.get_by_label("Fault", exact=True).fill("dropout")
    page.get_by_label("For (ms)").fill("2000")
    page.get_by_role("button", name="Send set-fault").click()
    expect(answer).to_contain_text("Done: fault dropout, for_ms 2,000.")
    expect(page.locator("#gap-rows tr").first).to_be_visible(timeout=20_000)
    expect(page.locator("#field-charts .spans rect").first).to_be_attached()
