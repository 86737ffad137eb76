"""The live page in a real browser, on a real API whose store is being written to."""

import math
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from paho.mqtt import publish
from paho.mqtt.enums import MQTTProtocolVersion
from playwright.sync_api import Locator, Page, expect

from stack.broker import Broker
from stack.local import LocalStack
from stack.services import Service
from telemetry.reading import Reading, Value
from telemetry.store import Store
from tests.e2e.browsing import LOWEST_CONTRAST, OpenPage, Scheme
from tests.eventually import eventually

DEVICES = 30
PAST_SECONDS = 90


class Pipeline:
    """Writes what ingest would: a fleet's readings, and the figures of ingest and sensors."""

    def __init__(self, store: Store, start_ms: int) -> None:
        self._store = store
        self._boot_ms = start_ms
        self._next_seq = [0] * DEVICES
        self._readings = [0, 0, 0]

    def write_second(self, time_ms: int) -> None:
        """Write one reading of each device, of which one in a while got lost at QoS 0."""
        swing = math.sin(time_ms / 20_000)
        readings = []
        for number in range(DEVICES):
            qos = number % 3
            if number > DEVICES * (0.7 + 0.3 * swing):
                continue
            seq = self._next_seq[number]
            self._next_seq[number] += 1
            if number == 0 and seq % 9 == 4:
                continue
            self._readings[qos] += 1
            values: dict[str, Value] = {
                "temperature": round(21 + 4 * swing + number / 10, 2),
                "humidity": round(48 - 9 * swing, 1),
                "note": "<img src=x onerror=alert(1)>",
            }
            device, boot_ms = f"station-{number:02}", self._boot_ms
            readings.append(Reading("hall", device, "weather", time_ms, values, boot_ms, seq))
        self._store.write([*readings, *self._own_figures(time_ms)])

    def _own_figures(self, time_ms: int) -> list[Reading]:
        ingest: dict[str, Value] = {"in_flight_readings": 3.0}
        sensors: dict[str, Value] = {}
        for qos, count in enumerate(self._readings):
            sensors[f"offered_readings_qos{qos}"] = float(count)
            sensors[f"acknowledged_readings_qos{qos}"] = float(count)
            ingest[f"received_readings_qos{qos}"] = float(count)
            ingest[f"written_readings_qos{qos}"] = float(count)
            for percentile, latency_ms in (("p50", 14.0), ("p95", 41.0), ("p99", 86.0)):
                ingest[f"latency_ms_qos{qos}_{percentile}"] = latency_ms + 9 * qos
        return [
            Reading("denyut", "ingest-1", "denyut_ingest", time_ms, ingest),
            Reading("denyut", "sensors-1", "denyut_sensors", time_ms, sensors),
        ]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write a second's readings every second, in a thread of its own."""
        stopping = threading.Event()

        def run() -> None:
            while not stopping.wait(1.0):
                self.write_second(now_ms())

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            thread.join()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


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
        publish.single(
            f"status/hall/{name}",
            f'{{"state":"{state}","qos":{number % 3},"profile":"<b>station</b>"}}',
            qos=1,
            retain=True,
            hostname=broker.host,
            port=broker.port,
            client_id=name,
            auth={"username": name, "password": broker.password(name)},
            protocol=MQTTProtocolVersion.MQTTv5,
        )
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


def drawn(line: Locator) -> str:
    return line.get_attribute("d") or ""


def wait_for_chart(page: Page) -> Locator:
    line = page.locator("#rates-chart path.line.qos1")
    expect(line).to_have_attribute("d", re.compile(r"^M\d"), timeout=15_000)
    return line


def test_the_charts_move_while_readings_arrive(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    lines = [wait_for_chart(page), page.locator("#device-chart path.line")]
    seen = [[drawn(line)] for line in lines]
    for _ in range(3):
        for line, before in zip(lines, seen, strict=True):
            eventually(lambda line=line, before=before: drawn(line) not in before)  # type: ignore[misc]
            before.append(drawn(line))
    assert all("NaN" not in path for paths in seen for path in paths)


def test_the_page_shows_the_fleets_state_rates_latency_and_losses(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive)
    wait_for_chart(page)
    expect(page.locator("#online")).to_have_text("25")
    expect(page.locator("#devices")).to_have_text("of 30")
    expect(page.locator("#states-note")).to_contain_text("3 offline · 2 unknown")
    expect(page.locator("#latency")).to_have_text("104")
    rows = page.locator("#delivery-rows tr")
    expect(rows).to_have_count(4)
    expect(rows.nth(0).locator("td").nth(3)).to_have_class("number warn")
    expect(rows.nth(1).locator("td").nth(3)).to_have_text("0")
    expect(page.locator("#live")).to_contain_text("Live")


def test_devices_can_be_searched_filtered_and_chosen_by_keyboard(
    alive: Service, open_page: OpenPage
) -> None:
    page = open_page(alive)
    wait_for_chart(page)
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
    for _ in range(2):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#device-name")).to_have_text("station-21")
    page.get_by_role("button", name="humidity").press("Enter")
    expect(page.locator("#device-field")).to_have_text("humidity")
    page.locator("#rates-chart svg").press("ArrowLeft")
    expect(page.locator("#rates-chart .tip")).to_contain_text("QoS 2")


def test_text_of_devices_is_shown_as_text(alive: Service, open_page: OpenPage) -> None:
    page = open_page(alive)
    wait_for_chart(page)
    expect(page.locator("#device-note")).to_contain_text("<b>station</b>")
    expect(page.locator("#device-fields")).to_contain_text("<img src=x onerror=alert(1)>")
    assert page.locator("main img").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1280])
def test_the_page_fits_its_screen_and_can_be_read(
    alive: Service, open_page: OpenPage, width: int, scheme: Scheme
) -> None:
    page = open_page(alive, width=width, scheme=scheme)
    wait_for_chart(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    contrast, text = page.evaluate(LOWEST_CONTRAST)
    assert contrast >= 4.5, text
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(244, 246, 249)", "dark": "rgb(12, 16, 22)"}[scheme]
    assert page.evaluate("getComputedStyle(document.querySelector('.live-dot')).animationName") == (
        "none"
    )


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
