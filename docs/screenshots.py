"""The pictures of the live page, taken from a running demo fleet: `make screenshots`."""

import shutil
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from stack.local import LocalStack

_IMAGES = Path(__file__).with_name("images")
_RUN_SECONDS = 75
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_SHOTS: dict[str, tuple[int, int, str]] = {
    "live-page": (1280, 900, "light"),
    "live-page-dark": (1280, 900, "dark"),
    "live-page-phone": (390, 844, "light"),
}


def main() -> None:
    """Run a fleet for a while and take every picture."""
    chromium = shutil.which("chromium") or sys.exit("Chromium is not installed")
    _IMAGES.mkdir(exist_ok=True)
    often = {f"{service}_FIGURES_INTERVAL_MS": "1000" for service in ("INGEST", "API", "SENSORS")}
    with LocalStack() as local:
        local.start_broker()
        local.start_ingest(settings=often)
        api = local.start_api(settings=often)
        local.start_fleet("demo", devices=100, settings=often)
        # The charts need some past to show.
        time.sleep(_RUN_SECONDS)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=_ARGUMENTS)
            for name in _SHOTS:
                _take(browser, api.url, name)
            browser.close()


def _take(browser: Browser, url: str, name: str) -> None:
    width, height, scheme = _SHOTS[name]
    page = browser.new_page(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    page.goto(url)
    page.wait_for_load_state("load")
    page.wait_for_timeout(3000)
    page.screenshot(path=_IMAGES / f"{name}.png")
    page.close()


if __name__ == "__main__":
    main()
