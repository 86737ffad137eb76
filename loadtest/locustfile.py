"""What Locust loads: the users, the shape and the course of a run, as the settings say."""

from locust import events

from loadtest.course import Course
from loadtest.load import load_class
from loadtest.readers import reader_class
from loadtest.settings import LoadtestSettings

_settings = LoadtestSettings.load()

HttpReader = reader_class(_settings)
ChosenLoad = load_class(_settings)

Course(_settings, HttpReader.tally).listen(events)
