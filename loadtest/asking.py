"""Asking the API: which devices there are, whom to trust, and what Locust does not count."""

import http.client
import ssl
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from loadtest.settings import LoadtestSettings

DEVICES_PATH = "/v1/devices?limit=500"


class _Device(Struct):
    device: str


class _Devices(Struct):
    devices: list[_Device]


def device_names(answer: bytes) -> list[str]:
    """Return the devices that an answer lists; msgspec.DecodeError where it is none."""
    return [one.device for one in msgspec.json.decode(answer, type=_Devices).devices]


def api_context(settings: LoadtestSettings) -> ssl.SSLContext:
    """Return what the API is trusted by; OSError where the authority's file cannot be read."""
    return ssl.create_default_context(cafile=settings.ca_file or None)


def api_headers(settings: LoadtestSettings) -> dict[str, str]:
    """Return what shows the API who asks."""
    return {"Authorization": f"Bearer {settings.api_key.value}"} if settings.api_key else {}


class Asker:
    """One connection to the API, kept and made anew where it broke."""

    def __init__(self, settings: LoadtestSettings, context: ssl.SSLContext | None = None) -> None:
        address = urlsplit(settings.target)
        assert address.hostname is not None
        self._headers = api_headers(settings)
        self._connection: http.client.HTTPConnection
        if address.scheme == "https":
            self._connection = http.client.HTTPSConnection(
                address.hostname,
                address.port,
                timeout=settings.timeout_seconds,
                context=context or api_context(settings),
            )
        else:
            self._connection = http.client.HTTPConnection(
                address.hostname, address.port, timeout=settings.timeout_seconds
            )

    def get(self, path: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer; OSError or HTTPException without one."""
        try:
            self._connection.request("GET", path, headers=self._headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except BaseException:
            # What is half read would be taken for the next answer.
            self.close()
            raise

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()
