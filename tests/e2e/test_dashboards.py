"""The dashboards on what a real pipeline stores of itself: every panel finds its fields there."""

from typing import Any
from urllib.request import Request, urlopen

import pytest

from loadtest.figures import MEASUREMENT
from stack.dashboards.asking import ALL, Frame, Server, Span
from stack.dashboards.pipeline import ROUTES
from stack.influxdb import Influxd
from stack.local import LocalStack
from tests.eventually import eventually
from tests.integration.api.listening import listening
from tests.integration.stack.dashboard_server import as_grafana, panels

SHORT = {
    "INGEST_FIGURES_INTERVAL_MS": "500",
    "API_FIGURES_INTERVAL_MS": "500",
    "API_GAPS_INTERVAL_SECONDS": "1",
    "SENSORS_FIGURES_INTERVAL_MS": "500",
}
CHOSEN = {"site": ALL, "process": ALL, "measurement": "weather", "field": "temperature", "qos": "1"}


def empty_panels(server: Server, device: str) -> list[str]:
    """The panels of which a query finds nothing; none is of an interval so short."""
    now = Span.last(0.25)
    span = Span(now.start_ms, now.stop_ms, least_interval_ms=1_000)
    found = []
    for dashboard, panel in panels():
        for target in panel["targets"]:
            frames = server.ask(target, span, {**CHOSEN, "device": device})
            if not _has_a_value(frames):
                found.append(f"{dashboard['title']} / {panel['title']}: {target['query']}")
    return found


def _has_a_value(frames: list[Frame]) -> bool:
    values: list[Any] = [
        value for frame in frames for row in frame.rows for value in row[1:] or row
    ]
    return any(value is not None for value in values)


@pytest.mark.timeout(120)
def test_every_panel_finds_its_fields_in_what_a_real_pipeline_stores(
    local: LocalStack, influxd: Influxd
) -> None:
    local.start_broker()
    local.start_ingest(settings=SHORT)
    api = local.start_api(settings=SHORT)
    fleet = local.start_fleet("demo", devices=12, settings=SHORT)
    server = as_grafana(local, influxd)
    device = local.device_names("demo", 12)[0]

    told = Request(f"{api.url}/v1/devices/{device}/commands/set-period", b'{"period_ms": 1000}')
    told.add_header("Content-Type", "application/json")
    eventually(lambda: api.get(f"/v1/devices/{device}")[0] == 200, what="a device")
    with urlopen(told, timeout=10) as answer:
        assert answer.status == 200

    paths = {
        "readings": "readings?start=-1m",
        "gaps": f"devices/{device}/gaps",
        "commands": f"devices/{device}/commands",
    }

    def all_but_failures_are_found() -> bool:
        for route in ROUTES:
            assert api.get(f"/v1/{paths.get(route, route)}")[0] == 200
        with listening(api, device=device):
            pass
        missing = empty_panels(server, device)
        # The API has failed nobody, nobody is silent yet, and there is no load test.
        found = (" failed", "silent ==", f'"{MEASUREMENT}"')
        return all(any(words in one for words in found) for one in missing)

    try:
        eventually(all_but_failures_are_found, deadline_seconds=45, what="a value in every panel")
    except AssertionError:
        print(*empty_panels(server, device), sep="\n")
        raise
    finally:
        server.close()
        fleet.stop()
