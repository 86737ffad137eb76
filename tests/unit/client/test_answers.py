"""The client's types are the API's: as the API writes an answer, the client reads it."""

import msgspec
import pytest
from msgspec import Struct

from api import delivery, fleet, inventory, readings, roster
from api.live import events
from api.routes import commands, devices, measurements, sites
from telemetry.client import answers
from telemetry.client import events as told

PAIRS: list[tuple[type[Struct], type[Struct]]] = [
    (answers.Reading, readings.ReadingAnswer),
    (answers.ReadingsPage, readings.ReadingsAnswer),
    (answers.Latest, readings.LatestAnswer),
    (answers.Device, roster.DeviceAnswer),
    (answers.DevicesPage, devices.DevicesAnswer),
    (answers.Site, inventory.SiteAnswer),
    (answers.SitesPage, sites.SitesAnswer),
    (answers.Field, inventory.FieldAnswer),
    (answers.Measurement, inventory.MeasurementAnswer),
    (answers.MeasurementsPage, measurements.MeasurementsAnswer),
    (answers.Fleet, fleet.FleetAnswer),
    (answers.LevelNow, fleet.LevelNow),
    (answers.History, fleet.HistoryAnswer),
    (answers.Delivery, delivery.DeliveryAnswer),
    (answers.LevelDelivery, delivery.LevelDelivery),
    (answers.IngestTotals, delivery.IngestTotals),
    (answers.Held, delivery.Held),
    (answers.Latency, delivery.Latency),
    (answers.KnownCommand, commands.KnownCommand),
    (answers.CommandAnswer, commands.CommandAnswer),
    (told.Status, events.StatusEvent),
    (told.Feed, events.FeedEvent),
    (told.Gap, events.GapEvent),
    (told.End, events.EndEvent),
]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS, ids=lambda kind: kind.__name__)
def test_an_answer_has_the_fields_that_the_api_gives_it(
    ours: type[Struct], theirs: type[Struct]
) -> None:
    assert ours.__struct_fields__ == theirs.__struct_fields__


def test_what_a_newer_api_tells_as_well_is_passed_over() -> None:
    text = b'{"readings": [], "truncated": false, "of_tomorrow": 1}'

    assert msgspec.json.decode(text, type=answers.Latest) == answers.Latest([], truncated=False)
