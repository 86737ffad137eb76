"""Grafana's panels: each query on seven days of a hundred devices, one reading every 10 s."""

import json
import statistics
import time
from collections.abc import Iterator
from typing import Any

from bench.dashboard_fleet import KnownFleet, now_ms, store_fleet
from bench.row import Row, at_most
from stack import StackError
from stack.dashboards.asking import ALL, Server, Span
from stack.dashboards.written import FOLDER_PATH
from stack.local import LocalStack
from telemetry.reading import Reading
from telemetry.settings import Secret
from telemetry.store.influxdb import InfluxStore
from telemetry.store.influxdb.session import Place

_DAYS = 7
_LEAST_READINGS = 6_000_000
_ASKED = 9
_MOST_MS = 200.0
_ISSUE = 8
_INTERVALS_MS = {"10s": 10_000, "30s": 30_000, "1m": 60_000}
_CHOSEN = {"site": ALL, "process": ALL, "measurement": "weather", "field": "temperature"}


def panels() -> Iterator[Row]:
    """Yield for each dashboard its slowest query's median over the whole range, in ms."""
    fleet = KnownFleet(devices=100, hours=24 * _DAYS, now_ms=now_ms())
    with LocalStack() as local:
        influxd = local.start_influxdb()
        writing, reading = local.open_store(read_only=False), local.open_store()
        stored = store_fleet(writing, reading, fleet)
        _store_hours(local, fleet)
        writing.close()
        reading.close()
        if stored < _LEAST_READINGS:
            raise StackError(f"{stored:,} readings are stored, {_LEAST_READINGS:,} were wanted")
        token = (local.folder / "influxdb" / "tokens" / "grafana-token").read_text()
        server = Server(influxd.url, token)
        for path in sorted(FOLDER_PATH.glob("dashboards/*.json")):
            dashboard = json.loads(path.read_text())
            title, took_ms = _slowest(server, dashboard, fleet)
            name = f"grafana {dashboard['title']}, p50 in ms, slowest of its queries ({title})"
            yield at_most(name, took_ms, _MOST_MS, "ms", issue=_ISSUE)
        server.close()


def _slowest(server: Server, dashboard: dict[str, Any], fleet: KnownFleet) -> tuple[str, float]:
    found = [
        (panel["title"], _median_ms(server, panel, target, fleet))
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]
    return max(found, key=lambda one: one[1])


def _median_ms(
    server: Server, panel: dict[str, Any], target: dict[str, Any], fleet: KnownFleet
) -> float:
    least_ms = _INTERVALS_MS.get(panel.get("interval", ""), 1_000)
    points = int(panel.get("maxDataPoints", 1_000))
    span = Span(fleet.start_ms, fleet.now_ms, least_ms, points)
    chosen = {**_CHOSEN, "device": fleet.name(fleet.devices // 2), "qos": "1"}
    took_ms = []
    for _round in range(_ASKED):
        began_s = time.perf_counter()
        server.ask(target, span, chosen)
        took_ms.append((time.perf_counter() - began_s) * 1000)
    return statistics.median(took_ms)


def _store_hours(local: LocalStack, fleet: KnownFleet) -> None:
    """Store as many hours as the task makes in a week, which is not waited for."""
    token = Secret((local.folder / "influxdb" / "operator-token").read_text())
    hours = InfluxStore(Place(local.store_url, "denyut", "telemetry_1h"), token)
    for device in range(fleet.devices):
        hours.write(
            [
                Reading(
                    "bandung",
                    fleet.name(device),
                    "weather",
                    fleet.start_ms + hour * 3_600_000,
                    {f"{field}.mean": 20.0 for field in ("temperature", "humidity", "wind_speed")},
                )
                for hour in range(24 * _DAYS)
            ]
        )
    hours.close()
