"""The pages before an API that asks for a key, in a real browser."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.keys import Scope, make_key
from telemetry.keys import file as key_file
from tests.e2e.pages.browsing import LOWEST_CONTRAST, OpenPage, Scheme, tell_state

UNKNOWN_KEY = "dnyt_0123456789ab_" + "0" * 64

MakeKey = Callable[..., str]


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.touch()
    return path


@pytest.fixture
def make(keys_file: Path) -> MakeKey:
    def make_it(scope: Scope = "read", devices: list[str] | None = None) -> str:
        key, entry = make_key("page", [scope], devices, made="")
        key_file.add(keys_file, entry)
        return key

    return make_it


@pytest.fixture
def api(local: LocalStack, broker: Broker, keys_file: Path) -> Service:
    assert broker.is_running
    store = local.open_store(read_only=False)
    store.write([])
    store.close()
    return local.start_api(settings={"API_KEYS_FILE": str(keys_file)})


def give(page: Page, key: str) -> None:
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use this key").click()


def expect_form(page: Page) -> None:
    expect(page.locator("#key")).to_be_visible()
    expect(page.locator("#guarded")).to_be_hidden()
    expect(page.locator("#live")).to_have_text("Key needed")


def expect_fleet(page: Page) -> None:
    expect(page.locator("#key")).to_be_hidden()
    expect(page.locator("#guarded")).to_be_visible()
    expect(page.locator("#live")).to_contain_text("Live")


def test_the_page_asks_for_a_key_and_shows_the_fleet_by_keyboard(
    api: Service, open_page: OpenPage, make: MakeKey
) -> None:
    page = open_page(api)
    expect_form(page)
    expect(page.get_by_label("API key")).to_be_focused()
    expect(page.locator("#key-error")).to_be_empty()
    page.keyboard.type(make())
    page.keyboard.press("Enter")
    expect_fleet(page)
    expect(page.locator("#rates-chart .chart-empty")).to_contain_text("No readings yet")
    expect(page.get_by_role("contentinfo").get_by_role("link", name="Delivery")).to_be_hidden()
    assert page.url == f"{api.url}/"


def test_while_no_key_is_given_nothing_more_is_asked(api: Service, open_page: OpenPage) -> None:
    page = open_page(api)
    expect_form(page)
    page.wait_for_load_state("networkidle")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_timeout(2_500)  # that nothing happens can only be seen by waiting
    assert asked == []


@pytest.mark.parametrize(
    ("key", "word"),
    [
        (UNKNOWN_KEY, "not known, or was revoked"),
        ("", "That is no API key"),
        ("a b", "That is no API key"),
        ("ключ", "That is no API key"),
    ],
)
def test_a_wrong_key_is_said_and_may_be_given_again(
    api: Service, open_page: OpenPage, make: MakeKey, key: str, word: str
) -> None:
    page = open_page(api)
    expect_form(page)
    give(page, key)
    expect(page.get_by_role("alert")).to_contain_text(word)
    expect(page.get_by_label("API key")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("API key")).to_be_focused()
    give(page, f"  {make()}\n")
    expect_fleet(page)


def test_a_key_that_may_not_read_is_told_so(
    api: Service, open_page: OpenPage, make: MakeKey
) -> None:
    page = open_page(api)
    give(page, make("command"))
    expect(page.get_by_role("alert")).to_contain_text("has not the scope 'read'")
    give(page, make("read", ["station-01"]))
    expect(page.get_by_role("alert")).to_contain_text("for other devices only")


def test_a_key_for_one_device_opens_its_page_and_its_stream_and_sends_it_no_command(
    api: Service, broker: Broker, open_page: OpenPage, make: MakeKey
) -> None:
    broker.admit(["station-01"])
    tell_state(broker, "station-01", "online", 1)
    page, key = open_page(api, "/devices/station-01?range=1h"), make("read", ["station-01"])
    expect_form(page)
    with page.expect_response(lambda response: "/v1/stream" in response.url) as streamed:
        give(page, key)
    assert streamed.value.status == 200
    assert key not in streamed.value.url
    expect(page.locator("#device-state")).to_have_text("online")
    expect(page.get_by_role("radio", name="1 h", exact=True)).to_be_checked()
    page.get_by_role("button", name="Send reboot").click()
    expect(page.locator("#answers li")).to_contain_text("This key has not the scope 'command'.")


def test_a_key_is_kept_for_the_tab_only_and_forgotten_on_a_click(
    api: Service, open_page: OpenPage, make: MakeKey
) -> None:
    page, key = open_page(api), make()
    give(page, key)
    expect_fleet(page)
    page.reload()
    expect_fleet(page)
    assert page.evaluate("[document.cookie, localStorage.length]") == ["", 0]
    assert key not in page.content()
    other = page.context.new_page()
    other.goto(f"{api.url}/")
    expect_form(other)
    page.get_by_role("button", name="Forget key").click()
    expect_form(page)
    expect(page.get_by_role("button", name="Forget key")).to_be_hidden()
    expect(page.locator("#key-error")).to_be_empty()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_that_is_revoked_meanwhile_brings_the_form_back(
    api: Service, open_page: OpenPage, make: MakeKey, keys_file: Path
) -> None:
    page, key = open_page(api), make()
    give(page, key)
    expect_fleet(page)
    assert key_file.remove(keys_file, key.split("_")[1])
    expect_form(page)
    expect(page.get_by_role("alert")).to_contain_text("not known, or was revoked")


def test_an_api_that_is_away_takes_no_key_from_anybody(
    api: Service, open_page: OpenPage, make: MakeKey
) -> None:
    page = open_page(api)
    give(page, make())
    expect_fleet(page)
    api.stop()
    expect(page.locator("#banner")).to_contain_text("cannot be reached", timeout=15_000)
    expect(page.locator("#key")).to_be_hidden()
    api.start()
    expect(page.locator("#banner")).to_be_hidden(timeout=15_000)
    expect_fleet(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_form_fits_its_screen_and_can_be_read(
    api: Service, open_page: OpenPage, make: MakeKey, width: int, scheme: Scheme
) -> None:
    page = open_page(api, width=width, scheme=scheme)
    give(page, UNKNOWN_KEY)
    expect(page.get_by_role("alert")).to_contain_text("not known")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text
    give(page, make())
    expect_fleet(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text
