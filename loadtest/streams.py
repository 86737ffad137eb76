"""Users that listen to the live stream as an open page does, and go on from where they were cut.

The fleet's page hears states, a device's page all of that device (api/static/js).
"""

import http.client
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import ClassVar

import gevent
import msgspec
from locust import User, task
from locust.user.task import LOCUST_STATE_WAITING

from loadtest.asking import DEVICES_PATH, device_names
from loadtest.heard import Heard
from loadtest.pace import Tally
from loadtest.rows import EVENTS, fire, ms_since
from loadtest.settings import LoadtestSettings
from telemetry.client.errors import ClientError
from telemetry.client.key import Key
from telemetry.client.transport import Address, Opened, Request, Transport

_OPEN, _RESUME, _HOLD, _READING = "stream open", "stream resume", "stream hold", "stream reading"
_FLEET_PAGE_ONE_IN = 4
_FLEET_PAGE = {"kinds": "status"}
_READ_BYTES = 65_536
_FIRST_RETRY_SECONDS = 1.0
_SILENCE_SECONDS = 60.0  # the API says that it is alive more often than that


class Listener(User):
    """Opens a stream, holds it for its time, is away for a moment, and resumes it."""

    abstract = True
    settings: ClassVar[LoadtestSettings]
    transport: ClassVar[Transport]
    tally = Tally()
    numbers: ClassVar[Iterator[int]] = count()

    def on_start(self) -> None:
        """Have heard nothing yet."""
        self._is_fleet_page = next(self.numbers) % _FLEET_PAGE_ONE_IN == 0
        self._device: str | None = None
        self._last_id: str | None = None
        self._retry_seconds = _FIRST_RETRY_SECONDS

    @task
    def listen(self) -> None:
        """Hold a stream for its time, then be away for as long as the API asks for."""
        # It may be ended at any moment: nothing is lost with it.
        self._state = LOCUST_STATE_WAITING
        if self._device is None and not self._is_fleet_page:
            self._device = self._some_device()
        began_s, self._held_seconds, lasted = time.perf_counter(), 0.0, False
        try:
            lasted = self._lasts()
            if not lasted:
                # It was to be listened to meanwhile.
                gevent.sleep(self._retry_seconds)
        finally:
            self.tally.count(due=time.perf_counter() - began_s, done=self._held_seconds)
        if lasted:
            gevent.sleep(self._retry_seconds)

    def _some_device(self) -> str | None:
        """Return a device, None where none is known yet."""
        with suppress(ClientError, msgspec.DecodeError):
            names = device_names(self.transport.ask(Request(DEVICES_PATH)))
            return random.choice(names) if names else None  # noqa: S311
        return None

    def _lasts(self) -> bool:
        """Open a stream and read it for its time; return whether it lasted so long."""
        name, began_s = _RESUME if self._last_id else _OPEN, time.perf_counter()
        heard = Heard(self._last_id, datetime.now(UTC))
        try:
            self._hear(heard, name, began_s)
        except (ClientError, OSError, http.client.HTTPException) as error:
            heard.why = str(error)
        self._last_id = heard.last_id
        self._retry_seconds = heard.retry_seconds or self._retry_seconds
        if heard.events:
            fire(self.environment, EVENTS, _HOLD, None, heard.bytes, heard.why)
        else:
            fire(self.environment, EVENTS, name, ms_since(began_s), why=heard.why)
        return not heard.why

    def _hear(self, heard: Heard, name: str, began_s: float) -> None:
        opened = self.transport.open_once(self._request())
        try:
            while not heard.events and not heard.why:
                self._take_part(opened, heard)
            if heard.events:
                fire(self.environment, EVENTS, name, ms_since(began_s))
            opened.socket.settimeout(_SILENCE_SECONDS)
            with gevent.Timeout(self.settings.hold_seconds, False):
                while not heard.why:
                    self._take_part(opened, heard)
        finally:
            opened.hang_up()
            self._held_seconds = time.perf_counter() - began_s

    def _request(self) -> Request:
        return Request(
            "/v1/stream",
            _FLEET_PAGE if self._device is None else {"device": self._device},
            headers={} if self._last_id is None else {"Last-Event-ID": self._last_id},
            timeout_seconds=self.settings.timeout_seconds,
        )

    def _take_part(self, opened: Opened, heard: Heard) -> None:
        part = opened.response.read1(_READ_BYTES)
        if not part:
            heard.why = "the connection broke"
        for age_ms in heard.read(part, datetime.now(UTC)):
            fire(self.environment, EVENTS, _READING, age_ms)


def listener_class(settings: LoadtestSettings) -> type[Listener]:
    """Return the listeners of one run, which share what they are trusted and trust by."""
    address = Address.parse(settings.target)

    class StreamListener(Listener):
        abstract = False
        weight = settings.streams
        tally = Tally()
        transport = Transport(
            address,
            Key(settings.api_key.value if settings.api_key else None, None),
            ca_file=Path(settings.ca_file) if settings.ca_file and address.is_secure else None,
            timeout_seconds=settings.timeout_seconds,
            patience_seconds=0.0,
        )

    StreamListener.settings = settings
    return StreamListener
