"""Everything that Grafana is given, in a real Grafana, wherever one is installed.

Skipped where there is none on PATH (`grafana`, or GRAFANA_HOME for its folder); fails there where
REQUIRE_GRAFANA is set.
"""

import base64
import json
import os
import shutil
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from typer.testing import CliRunner

from bench.dashboard_fleet import KnownFleet, now_ms, store_fleet
from stack.dashboards.written import FOLDER_PATH
from stack.grafana.__main__ import application
from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.ports import reserve_port
from stack.process import Process
from tests.integration.stack.dashboard_server import DASHBOARDS

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PASSWORD = "only-for-this-test"
AUTHORIZATION = f"Basic {base64.b64encode(f'admin:{PASSWORD}'.encode()).decode()}"
PANEL_ERROR = '[data-testid="data-testid Panel status error"], [aria-label="Panel status error"]'
INTO = {"datasources": "datasources", "dashboards": "dashboards", "alerts": "alerting"}


class Grafana(Process):
    """A Grafana of the system's, with files of the test's own."""

    def __init__(self, program: Path, home: Path, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        environment = {
            "PATH": os.environ["PATH"],
            "GF_PATHS_DATA": str(folder / "data"),
            "GF_PATHS_LOGS": str(folder / "logs"),
            "GF_PATHS_PROVISIONING": str(folder / "provisioning"),
            "GF_SERVER_HTTP_ADDR": "127.0.0.1",
            "GF_SERVER_HTTP_PORT": str(port),
            "GF_SECURITY_ADMIN_PASSWORD": PASSWORD,
            "GF_ANALYTICS_REPORTING_ENABLED": "false",
            "GF_ANALYTICS_CHECK_FOR_UPDATES": "false",
            "GF_PLUGINS_PREINSTALL_DISABLED": "true",
            "ALERT_EMAIL": "nobody@localhost",
        }
        command = [str(program), "server", "--homepath", str(home)]
        super().__init__(
            "grafana", command, environment=environment, log_path=folder / "grafana.log"
        )

    def lacks(self) -> str | None:
        try:
            found = self.asked("/api/health")
        except OSError as error:
            return str(error)
        return None if found["database"] == "ok" else str(found)

    def asked(self, path: str, told: dict[str, str] | None = None) -> Any:
        headers = {"Authorization": AUTHORIZATION, "Content-Type": "application/json"}
        data = None if told is None else json.dumps(told).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)


def installed() -> tuple[Path, Path]:
    """The program and the folder of its pages."""
    named = os.environ.get("GRAFANA_HOME")
    homes = [Path(named)] if named else [Path("/usr/share/grafana")]
    found = shutil.which("grafana")
    if found is not None:
        homes.append(Path(found).resolve().parents[1])
    for home in homes:
        program = home / "bin" / "grafana"
        program = program if program.exists() else Path(found or program)
        if program.exists() and (home / "public").is_dir():
            return program, home
    if os.environ.get("REQUIRE_GRAFANA"):
        pytest.fail("Grafana is required and not installed")
    pytest.skip("no Grafana is installed")


def provisioned(folder: Path, influxd: Influxd, token: Path) -> None:
    """Put the files where Grafana reads them, with this test's store for the stack's."""
    for file in FOLDER_PATH.glob("*.yaml"):
        text = file.read_text().replace("http://influxdb:8086", influxd.url)
        text = text.replace("/run/secrets/grafana-token", str(token))
        text = text.replace("/etc/grafana/dashboards", str(FOLDER_PATH / "dashboards"))
        target = folder / "provisioning" / INTO[file.stem] / "denyut.yaml"
        target.parent.mkdir(parents=True)
        target.write_text(text)


@pytest.fixture
def start_grafana(tmp_path: Path) -> Iterator[Callable[[], Grafana]]:
    """Start a Grafana with what stands in the test's folder."""
    program, home = installed()
    reservation = reserve_port()
    server = Grafana(program, home, tmp_path, reservation.port)

    def start() -> Grafana:
        server.start(ready_seconds=90)
        return server

    yield start
    server.stop()
    reservation.release()


@pytest.mark.timeout(300)
def test_a_real_grafana_takes_every_file_and_shows_every_panel_without_an_error(
    start_grafana: Callable[[], Grafana],
    local: LocalStack,
    influxd: Influxd,
    tmp_path: Path,
    browser: Browser,
) -> None:
    fleet = KnownFleet(devices=24, hours=7, now_ms=now_ms())
    store_fleet(local.open_store(read_only=False), local.open_store(), fleet)
    provisioned(tmp_path, influxd, local.folder / "influxdb" / "tokens" / "grafana-token")
    grafana = start_grafana()
    rules = grafana.asked("/api/v1/provisioning/alert-rules")
    found = {one["uid"] for one in grafana.asked("/api/search?type=dash-db")}
    assert found == set(DASHBOARDS)
    assert len(rules) == 7
    for source in ("denyut-influxql", "denyut-flux"):
        assert grafana.asked(f"/api/datasources/uid/{source}/health")["status"] == "OK"
    context = browser.new_context(
        viewport={"width": 1440, "height": 1600},
        extra_http_headers={"Authorization": AUTHORIZATION},
    )
    for uid in DASHBOARDS:
        page = context.new_page()
        page.goto(f"{grafana.url}/d/{uid}?kiosk", wait_until="networkidle")
        errors = page.locator(PANEL_ERROR)
        assert errors.count() == 0, f"{uid}: {errors.first.text_content()}"
        page.screenshot(path=IMAGES / f"grafana-{uid.removeprefix('denyut-')}.png")
        page.close()
    context.close()


@pytest.mark.timeout(180)
def test_a_real_grafana_takes_a_push_and_a_second_one_changes_nothing(
    start_grafana: Callable[[], Grafana], tmp_path: Path
) -> None:
    grafana = start_grafana()
    account = grafana.asked("/api/serviceaccounts", {"name": "denyut", "role": "Admin"})
    made = grafana.asked(f"/api/serviceaccounts/{account['id']}/tokens", {"name": "push"})
    told = {"GRAFANA_URL": grafana.url}
    for name, secret in {"TOKEN": made["key"], "STORE_TOKEN": "of no store"}.items():
        (tmp_path / name).write_text(secret)
        told[f"GRAFANA_{name}_FILE"] = str(tmp_path / name)

    first, second = (CliRunner().invoke(application, ["push"], env=told) for _run in range(2))
    marked = CliRunner().invoke(application, ["annotate", "a mark"], env=told)

    assert (first.exit_code, marked.exit_code) == (0, 0), first.output + marked.output
    assert second.output == "everything is there as it shall be\n"
    assert {one["uid"] for one in grafana.asked("/api/search?type=dash-db")} == set(DASHBOARDS)
    assert [one["text"] for one in grafana.asked("/api/annotations?tags=denyut")] == ["a mark"]
