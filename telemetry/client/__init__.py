"""A client of the HTTP API, for programs of one's own; it needs nothing beyond this package.

with Client("https://denyut.example", key_file="key") as denyut:
    for reading in denyut.readings(device="hall-1", start="-1h"):
        print(reading.time, reading.values)
"""

from telemetry.client.answers import (
    CommandAnswer,
    Delivery,
    Device,
    Fleet,
    KnownCommand,
    Latest,
    Measurement,
    Reading,
    ReadingsPage,
    Site,
)
from telemetry.client.client import Client
from telemetry.client.errors import (
    BadRequest,
    ClientError,
    DeviceOffline,
    DeviceRefused,
    KeyWanted,
    NotAllowed,
    NotFound,
    NotUnderstood,
    Problem,
    TooManyRequests,
    TooSlow,
    Unavailable,
    Unreachable,
)
from telemetry.client.events import Feed, Gap, Status
from telemetry.client.readings import Readings
from telemetry.client.stream import Stream

__all__ = [
    "BadRequest",
    "Client",
    "ClientError",
    "CommandAnswer",
    "Delivery",
    "Device",
    "DeviceOffline",
    "DeviceRefused",
    "Feed",
    "Fleet",
    "Gap",
    "KeyWanted",
    "KnownCommand",
    "Latest",
    "Measurement",
    "NotAllowed",
    "NotFound",
    "NotUnderstood",
    "Problem",
    "Reading",
    "Readings",
    "ReadingsPage",
    "Site",
    "Status",
    "Stream",
    "TooManyRequests",
    "TooSlow",
    "Unavailable",
    "Unreachable",
]
