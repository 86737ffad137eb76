"""Users that read over HTTP as a dashboard does: the newest readings, curves, lists, exports."""

import http.client
import random

import msgspec
from locust import FastHttpUser, task

from loadtest.asking import DEVICES_PATH, api_context, api_headers, device_names
from loadtest.pace import Pace, Tally
from loadtest.settings import LoadtestSettings


class Reader(FastHttpUser):
    """Asks the API at its own pace; the names of devices come from the API."""

    abstract = True
    # Locust's default is to believe any certificate: what is loaded would not be what is used.
    insecure = False
    max_redirects = 0
    rate = 1.0
    tally = Tally()

    def on_start(self) -> None:
        """Learn which devices there are."""
        self._devices: list[str] = []
        self._ask_devices()
        self._pace = Pace(self.tally, self.rate, random.random())  # noqa: S311

    def on_stop(self) -> None:
        """Have nothing due any more."""
        self._pace.end()

    def wait_time(self) -> float:
        """Return how long it is until the next request is due."""
        return self._pace.wait_seconds()

    @task(4)
    def fleet(self) -> None:
        """Ask what the live page asks."""
        self._get("fleet", "/v1/fleet")

    @task(4)
    def latest(self) -> None:
        """Ask for the latest readings of all devices."""
        self._get("latest", "/v1/latest?limit=1000")

    @task(6)
    def device_latest(self) -> None:
        """Ask for the latest readings of one device."""
        self._get_of_device("device latest", "latest")

    @task(3)
    def range_raw(self) -> None:
        """Ask for a device's last ten minutes, reading by reading."""
        self._get_of_device("range raw", "readings?start=-10m&limit=1000")

    @task(4)
    def range_mean(self) -> None:
        """Ask for a device's last hour, as a curve."""
        self._get_of_device("range mean", "readings?start=-1h&every=10s&aggregate=mean")

    @task(2)
    def range_csv(self) -> None:
        """Export a device's last hour."""
        self._get_of_device("range csv", "readings?start=-1h&format=csv&limit=1000")

    @task(1)
    def delivery(self) -> None:
        """Ask for the delivery report."""
        self._get("delivery", "/v1/delivery")

    @task(1)
    def devices(self) -> None:
        """Ask which devices there are, as they come and go."""
        self._ask_devices()

    def _ask_devices(self) -> None:
        with self.client.get(DEVICES_PATH, name="devices", catch_response=True) as response:
            if response.status_code != http.client.OK:
                return
            try:
                self._devices = device_names(response.content or b"")
            except msgspec.DecodeError as error:
                response.failure(f"not an answer of the API: {error}")

    def _get_of_device(self, name: str, rest: str) -> None:
        if self._devices:
            self._get(name, f"/v1/devices/{random.choice(self._devices)}/{rest}")  # noqa: S311
        else:
            self._ask_devices()

    def _get(self, name: str, path: str) -> None:
        self.client.get(path, name=name)


def reader_class(settings: LoadtestSettings) -> type[Reader]:
    """Return the readers of one run: as many, at their rate, with its key and authority."""
    context = api_context(settings)

    class HttpReader(Reader):
        abstract = False
        weight = settings.readers
        rate = settings.reader_rate
        tally = Tally()
        host = settings.target
        connection_timeout = network_timeout = settings.timeout_seconds
        default_headers = api_headers(settings)
        # One for all users: Locust's client would read the authorities again for each.
        ssl_context_factory = staticmethod(lambda **_given: context)

    return HttpReader
