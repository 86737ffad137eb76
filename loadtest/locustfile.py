"""What Locust loads: the users, the shape and the course of a run, as the settings say."""

from pathlib import Path

from locust import events

from loadtest.course import Course
from loadtest.devices import Devices
from loadtest.freshness import freshness_class
from loadtest.limit import LimitLoad
from loadtest.load import Load, load_class
from loadtest.publishers import publisher_class
from loadtest.readers import reader_class
from loadtest.settings import LoadtestSettings
from loadtest.streams import listener_class

_settings = LoadtestSettings.load()
_devices = Devices(Path(_settings.results_dir))

HttpReader = reader_class(_settings)
StreamListener = listener_class(_settings)
MqttPublisher = publisher_class(_settings, _devices)
FreshnessUser = freshness_class(_settings, _devices)
ChosenLoad = load_class(LimitLoad if _settings.shape == "limit" else Load, _settings)
if _settings.shape == "limit":
    # As many as ever, while those that make the load become more and fewer.
    StreamListener.fixed_count = _settings.streams
    FreshnessUser.fixed_count = _settings.freshness
    HttpReader.fixed_count = _settings.readers if _settings.publishers else 0

_tallies = {
    "readers": HttpReader.tally,
    "streams": StreamListener.tally,
    "publishers": MqttPublisher.tally,
}
Course(_settings, _tallies, _devices).listen(events)
