"""The pictures of the pages, taken from a running demo fleet: `make screenshots`."""

import http.client
import shutil
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from stack.local import LocalStack
from stack.services import Service

_IMAGES = Path(__file__).with_name("images")
_DEVICE = "weather-00000"
# The charts need some past to show, and the missing readings some time to go missing.
_BEFORE_FAULT_SECONDS = 150
_AFTER_FAULT_SECONDS = 60
_FAULT = b'{"fault": "dropout", "for_ms": 12000}'
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_PATHS = {
    "fleet": "/",
    "device": f"/devices/{_DEVICE}",
    "delivery": "/delivery?range=10m",
}
_SHOTS: dict[str, tuple[int, int, str]] = {
    "": (1280, 1000, "light"),
    "-dark": (1280, 1000, "dark"),
    "-phone": (390, 844, "light"),
    "-phone-dark": (390, 844, "dark"),
}


def main() -> None:
    """Run a fleet for a while and take every picture."""
    chromium = shutil.which("chromium") or sys.exit("Chromium is not installed")
    _IMAGES.mkdir(exist_ok=True)
    often = {f"{service}_FIGURES_INTERVAL_MS": "1000" for service in ("INGEST", "API", "SENSORS")}
    with LocalStack() as local:
        local.start_broker()
        local.start_ingest(settings=often)
        api = local.start_api(settings={**often, "API_GAPS_INTERVAL_SECONDS": "5"})
        local.start_fleet("demo", devices=100, settings=often)
        time.sleep(_BEFORE_FAULT_SECONDS)
        _drop_some(api)
        time.sleep(_AFTER_FAULT_SECONDS)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
            for page in _PATHS:
                for kind in _SHOTS:
                    _take(browser, api.url, page, kind)
            browser.close()


def _drop_some(api: Service) -> None:
    connection = http.client.HTTPConnection(api.host, api.port, timeout=30)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", f"/v1/devices/{_DEVICE}/commands/set-fault", _FAULT, headers)
    if connection.getresponse().status != http.client.OK:
        sys.exit(f"{_DEVICE} takes no command")
    connection.close()


def _take(browser: Browser, url: str, name: str, kind: str) -> None:
    width, height, scheme = _SHOTS[kind]
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto(url + _PATHS[name])
    page.wait_for_load_state("load")
    page.wait_for_timeout(6000)
    page.screenshot(path=_IMAGES / f"{name}{kind}.png")
    page.close()


if __name__ == "__main__":
    main()
