"""What the view of a run says, and when it is there at all."""

import logging
import sys
from io import StringIO

import pytest
from rich.console import Console

from sensors.fleet import make_fleet
from sensors.fleetfile import find_fleet, read_fleet_file
from sensors.liveview import View, live_view, log_above
from sensors.service import FleetRun
from sensors.settings import SensorsSettings
from telemetry.settings import Secret


@pytest.fixture
async def run() -> FleetRun:
    """A fleet that has not begun."""
    fleet = make_fleet(read_fleet_file(find_fleet("demo")))
    return FleetRun(fleet, SensorsSettings(fleet_key=Secret("k")))


def shown(view: View) -> str:
    console = Console(width=100, record=True, file=StringIO())
    console.print(view.render())
    return console.export_text()


async def test_the_view_has_connections_rates_waits_and_failures(run: FleetRun) -> None:
    view = View(run, 60.0)
    counters = run.counters
    counters.connected, counters.lost_connections = 99, 3
    counters.offered[:] = [10, 20, 30]
    counters.refused[:] = [0, 7, 0]
    counters.dropped["outbox_full"][2] = 5
    counters.dropped["fault"][2] = 1
    counters.acknowledgements[1].record(12.5)
    text = shown(view)
    assert "connecting 0 of 60 s" in text
    assert "99/100 connected" in text
    assert "3 connections lost" in text
    rows = {line[:18].strip(): line[18:].split() for line in text.splitlines()}
    assert rows["refused"] == ["0", "7", "0"]
    assert rows["dropped"] == ["0", "0", "6"]
    assert rows["answered p99"][:3] == ["-", "13", "ms"]
    assert rows["in flight"] == ["0", "0", "0"]


async def test_rates_are_those_since_the_last_drawing(run: FleetRun) -> None:
    view = View(run, None)
    run.counters.offered[:] = [1000, 0, 0]
    first = shown(view)
    again = shown(view)
    line = next(line for line in first.splitlines() if "offered /s" in line)
    assert int(line.split()[2].replace(",", "")) > 1000
    line = next(line for line in again.splitlines() if "offered /s" in line)
    assert line.split()[2:] == ["0", "0", "0"]


def test_what_is_logged_meanwhile_goes_to_the_view_and_later_where_it_went_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, view = StringIO(), StringIO()
    logger = logging.getLogger("a device")
    monkeypatch.setattr(logging.getLogger(), "handlers", [logging.StreamHandler(before)])
    monkeypatch.setattr(sys, "stderr", view)

    with log_above():
        logger.warning("during")
    logger.warning("after")

    assert view.getvalue() == "during\n"
    assert before.getvalue() == "after\n"


async def test_where_nobody_watches_nothing_is_shown(
    run: FleetRun, capsys: pytest.CaptureFixture[str]
) -> None:
    async with live_view(run, 1.0):
        pass
    assert capsys.readouterr().err == ""
