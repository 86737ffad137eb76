"""A real InfluxDB under the dashboards and the alert rules, with what is known to be in it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stack.dashboards.asking import Server, Span
from stack.dashboards.written import FOLDER_PATH
from stack.influxdb import Influxd
from stack.local import LocalStack
from stack.setup.influxdb import InfluxSetup
from stack.setup.plan import Plan
from stack.setup.server import Server as Admin
from telemetry.settings import Secret

DASHBOARDS: dict[str, dict[str, Any]] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((FOLDER_PATH / "dashboards").glob("*.json"))
}
_INTERVALS_MS = {"10s": 10_000, "30s": 30_000, "1m": 60_000}


def as_grafana(local: LocalStack, server: Influxd) -> Server:
    """The server as Grafana asks it: with the token that may only read."""
    token = (local.folder / "influxdb" / "tokens" / "grafana-token").read_text()
    return Server(server.url, token)


def roll_up(local: LocalStack, server: Influxd, start_ms: int) -> None:
    """Make minutes and hours, as the tasks do."""
    operator = Secret((local.folder / "influxdb" / "operator-token").read_text())
    admin = Admin(server.url, operator, "denyut")
    for _hour in InfluxSetup(admin, Plan()).roll_up(datetime.fromtimestamp(start_ms / 1000, UTC)):
        pass
    admin.close()


def panels() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every panel with its dashboard."""
    for dashboard in DASHBOARDS.values():
        for panel in dashboard["panels"]:
            yield dashboard, panel


def span_of(panel: dict[str, Any], span: Span) -> Span:
    """The range as a panel asks it."""
    least_ms = _INTERVALS_MS.get(panel.get("interval", ""), 1_000)
    return Span(span.start_ms, span.stop_ms, least_ms, int(panel.get("maxDataPoints", 1_000)))
