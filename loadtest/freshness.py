"""The freshness user: publishes a reading, and waits until the API shows it."""

import http.client
import ssl
import time
from typing import ClassVar

import gevent
import msgspec
from msgspec import Struct

from loadtest.asking import Asker, api_context
from loadtest.devices import Devices
from loadtest.pace import Tally
from loadtest.publishers import Publisher, equip
from loadtest.rows import END_TO_END, fire, ms_since
from loadtest.settings import LoadtestSettings

_LOOK_SECONDS = 0.02


class Shown(Struct):
    """A reading as the API shows it, as far as it matters here."""

    values: dict[str, float | bool | str]


class Latest(Struct):
    """An answer of the API."""

    readings: list[Shown]


class Freshness(Publisher):
    """A device at QoS 1 that looks for its own readings from outside."""

    abstract = True
    levels = (1,)
    trust: ClassVar[ssl.SSLContext]

    def on_start(self) -> None:
        """Connect to the broker, and have a connection to the API."""
        super().on_start()
        self._asker = Asker(self.settings, self.trust)

    def on_stop(self) -> None:
        """Leave both."""
        super().on_stop()
        self._asker.close()

    def step(self) -> bool:
        """Publish a reading, look for it, and report how long it took until it was there."""
        if not self._connected:
            self._connect()
        began_s = time.perf_counter()
        time_ms = self.publish_reading()
        if time_ms is None:
            return False
        missing = f"not shown within {self.settings.freshness_timeout_seconds:g} s"
        word: str | None = missing
        while time.perf_counter() - began_s < self.settings.freshness_timeout_seconds:
            word = self._lacks(time_ms)
            if word is None:
                break
            gevent.sleep(_LOOK_SECONDS)
        why = f"{missing}: {word}" if word else None
        fire(self.environment, END_TO_END, "freshness", ms_since(began_s), why=why)
        return True

    def _lacks(self, time_ms: int) -> str | None:
        """Return None once the API shows a reading or a later one, else what it says."""
        try:
            status, body = self._asker.get(f"/v1/devices/{self.device}/latest")
        except (OSError, http.client.HTTPException) as error:
            return str(error)
        if status != http.client.OK:
            return f"the API says {status}"
        try:
            latest = msgspec.json.decode(body, type=Latest)
        except msgspec.DecodeError as error:
            return f"not an answer of the API: {error}"
        shown = [one.values.get("value") for one in latest.readings]
        newest = max((value for value in shown if isinstance(value, float)), default=0.0)
        return None if newest >= time_ms else "the API shows an earlier one"


def freshness_class(settings: LoadtestSettings, devices: Devices) -> type[Freshness]:
    """Return the freshness users of one run."""

    class FreshnessUser(Freshness):
        abstract = False
        weight = settings.freshness
        rate = settings.freshness_rate
        tally = Tally()
        trust = api_context(settings)

    equip(FreshnessUser, settings, devices)
    return FreshnessUser
