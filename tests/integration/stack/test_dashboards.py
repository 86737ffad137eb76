"""Every query of every panel, on a real InfluxDB that holds a fleet with known numbers."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.dashboard_fleet import KnownFleet, now_ms, store_figures, store_readings
from stack.dashboards.asking import ALL, Frame, Server, Span, Variables
from stack.local import LocalStack
from tests.integration.stack.dashboard_server import (
    DASHBOARDS,
    as_grafana,
    panels,
    roll_up,
    span_of,
)

HOURS = 7
ROOT = Path(__file__).parents[3]
FLEET = KnownFleet(devices=24, hours=HOURS, now_ms=now_ms())
WHOLE = Span.last(HOURS, until_ms=FLEET.now_ms)
LAST_HOUR = Span.last(1, until_ms=FLEET.now_ms)
WITH_GAPS = 9  # a device at QoS 0
CHOSEN = {
    "site": ALL,
    "process": ALL,
    "measurement": "weather",
    "device": FLEET.name(WITH_GAPS),
    "field": "temperature",
    "qos": "0",
}
REPEATED = {"qos": ["0", "1", "2"], "field": ["temperature", "humidity", "wind_speed"]}


@pytest.fixture(scope="module")
def server(influxd_installed: None) -> Iterator[Server]:  # noqa: ARG001
    with LocalStack() as local:
        influxd = local.start_influxdb()
        store, reading = local.open_store(read_only=False), local.open_store()
        store_readings(store, FLEET)
        # Before the figures, of which nobody asks for minutes: theirs would take most of the time.
        roll_up(local, influxd, FLEET.start_ms)
        store_figures(store, reading, FLEET)
        grafana = as_grafana(local, influxd)
        yield grafana
        grafana.close()


def shown(
    server: Server, dashboard: str, title: str, span: Span = WHOLE, **variables: Any
) -> dict[str, Any]:
    """The last value of each column of a panel."""
    panel = next(one for one in DASHBOARDS[dashboard]["panels"] if one["title"] == title)
    found: dict[str, Any] = {}
    for target in panel["targets"]:
        for frame in server.ask(target, span_of(panel, span), {**CHOSEN, **variables}):
            found |= {name: frame.column(name)[-1] for name in frame.columns}
    return found


def what_is_wrong(panel: dict[str, Any], frames: list[Frame]) -> str | None:
    if not any(frame.rows for frame in frames):
        return "an empty frame"
    columns = {name for frame in frames for name in frame.columns}
    values = [value for frame in frames for row in frame.rows for value in row]
    if not any(isinstance(value, int | float) for value in values) and panel["type"] != "table":
        return "no number"
    if panel["type"] == "timeseries" and not columns & {"time", "_time"}:
        return "no time"
    named = {one["matcher"]["options"] for one in panel["fieldConfig"]["overrides"]}
    return f"no column {named - columns}" if named - columns else None


def test_every_query_of_every_panel_answers_with_what_its_panel_needs(server: Server) -> None:
    """Leaves build/grafana.json: the rows of each, and how long it took."""
    asked, wrong = [], []
    for dashboard, panel in panels():
        repeat = panel.get("repeat")
        for value in REPEATED[repeat] if repeat else [""]:
            variables: Variables = {**CHOSEN, repeat: value} if repeat else CHOSEN
            frames = []
            for target in panel["targets"]:
                began_s = time.perf_counter()
                answer = server.ask(target, span_of(panel, WHOLE), variables)
                took_ms = round((time.perf_counter() - began_s) * 1000, 2)
                frames += answer
                title = re.sub(r"\$\{\w+\}", value, panel["title"])
                asked.append(
                    {
                        "dashboard": dashboard["title"],
                        "panel": title,
                        "query": target["query"],
                        "rows": sum(len(frame.rows) for frame in answer),
                        "milliseconds": took_ms,
                    }
                )
            problem = what_is_wrong(panel, frames)
            if problem:
                wrong.append(f"{dashboard['title']} / {title}: {problem}")
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "grafana.json").write_text(json.dumps(asked, indent=1) + "\n")

    assert not wrong
    assert len({one["dashboard"] for one in asked}) == 5


@pytest.mark.parametrize(
    ("dashboard", "title", "variables", "column", "number"),
    [
        ("denyut-fleet", "Silent", {}, "silent", 7),
        ("denyut-fleet", "Reporting", {}, "reporting", 17),
        ("denyut-fleet", "Online", {}, "online", 17),
        ("denyut-fleet", "Offline", {}, "offline", 7),
        ("denyut-delivery", "Missing at QoS ${qos}", {"qos": "0"}, "missing", 23),
        ("denyut-delivery", "Missing at QoS ${qos}", {"qos": "1"}, "missing", 0),
        ("denyut-delivery", "In the range, at QoS ${qos}", {"qos": "0"}, "offered", 20_183),
        ("denyut-delivery", "In the range, at QoS ${qos}", {"qos": "0"}, "stored", 20_160),
        ("denyut-delivery", "In the range, at QoS ${qos}", {"qos": "1"}, "duplicated", 17),
        ("denyut-pipeline", "Quarantined", {}, "quarantined", 5),
        ("denyut-pipeline", "Dropped by the broker", {}, "dropped", 11),
        ("denyut-load-test", "Connections to the broker", {}, "clients", 42),
        ("denyut-load-test", "Locust's users", {}, "users", 86),
    ],
)
def test_a_panel_shows_the_number_that_is_known(
    server: Server,
    dashboard: str,
    title: str,
    variables: dict[str, Any],
    column: str,
    number: int,
) -> None:
    assert shown(server, dashboard, title, **variables)[column] == number


def test_the_table_of_devices_begins_with_those_that_are_silent(server: Server) -> None:
    panel = next(one for one in DASHBOARDS["denyut-fleet"]["panels"] if one["title"] == "Devices")

    (frame,) = server.ask(panel["targets"][0], WHOLE, CHOSEN)

    assert set(frame.column("device")[:7]) == {FLEET.name(number) for number in range(7)}
    assert [age for age in frame.column("age") if float(age or 0) > 300] == frame.column("age")[:7]
    assert len(frame.rows) == 24


def test_a_site_can_be_chosen(server: Server) -> None:
    assert shown(server, "denyut-fleet", "Silent", site="surabaya")["silent"] == 2
    assert shown(server, "denyut-fleet", "Reporting", site="nowhere") == {}


def test_a_devices_gaps_are_counted_within_an_hour(server: Server) -> None:
    around_the_gap = Span.last(2, until_ms=FLEET.start_ms + round((HOURS / 2 + 0.3) * 3_600_000))

    found = shown(server, "denyut-device", "Stored and missing", around_the_gap)
    lately = shown(server, "denyut-device", "Stored and missing")

    assert FLEET.lost_by(WITH_GAPS) > 0
    assert (found["missing"], found["boots"]) == (FLEET.lost_by(WITH_GAPS), 1)
    assert lately["missing"] == 0


def test_a_device_shows_what_it_was_told_the_last_first(server: Server) -> None:
    panel = next(one for one in DASHBOARDS["denyut-device"]["panels"] if one["title"] == "Commands")

    (frame,) = server.ask(panel["targets"][0], WHOLE, CHOSEN)

    assert frame.columns == ["time", "command", "outcome", "milliseconds"]
    assert frame.column("outcome") == ["done", "device-refused", "device-silent"]


@pytest.mark.parametrize("span", [LAST_HOUR, WHOLE], ids=["readings", "minutes"])
def test_the_mean_of_a_field_is_that_of_the_readings_whichever_bucket_answers(
    server: Server, span: Span
) -> None:
    panel = DASHBOARDS["denyut-fleet"]["panels"][-1]
    asked_at = span_of(panel, span)

    frames = server.ask(panel["targets"][0], asked_at, {**CHOSEN, "field": "wind_speed"})

    assert {frame.labels["site"] for frame in frames} == {"bandung", "surabaya", "cikarang"}
    for frame in frames:
        assert {round(float(one or 0), 9) for one in frame.column("_value")} == {2.5}


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_every_variable_offers_what_there_is(server: Server, dashboard: str) -> None:
    expected = {
        "site": ["bandung", "cikarang", "surabaya"],
        "measurement": ["station", "weather"],
        "field": ["humidity", "temperature", "wind_speed"],
        "process": ["ingest-1", "ingest-2"],
        "device": [FLEET.name(number) for number in range(24)],
    }
    for variable in DASHBOARDS[dashboard]["templating"]["list"]:
        if variable["type"] == "query":
            query = variable["query"]
            text = query if isinstance(query, str) else query["query"]
            offered = server.variable(text, variable["datasource"]["uid"], WHOLE, CHOSEN)
            kept = re.compile(variable["regex"].strip("/") or ".*")

            assert [one for one in offered if kept.search(one)] == expected[variable["name"]]
