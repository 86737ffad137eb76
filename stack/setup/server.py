"""One InfluxDB server as its set-up sees it: what is in it by name, and its refusals in words.

StackError
└── SetupError           InfluxDB refuses a step, or is not the one that was expected
    ├── RequestRefused   what was asked for cannot be done; nothing was changed
    └── BackupDamaged    a backup is not whole; nothing was changed
"""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import urllib3.exceptions
from influxdb_client import InfluxDBClient
from influxdb_client.client.flux_csv_parser import FluxQueryException
from influxdb_client.rest import ApiException

from stack import StackError
from telemetry.settings import Secret
from telemetry.store import StoreError, StoreUnavailable
from telemetry.store.influxdb.session import InfluxSession, Place

NOT_FOUND = 404
SENDABLE = r"^[!-~]+\Z"
"""What an HTTP header can carry; a client that refuses another one would say it aloud."""
_TIMEOUT_MS = 60_000
_ASK_SECONDS = 5.0
_POLL_SECONDS = 0.2


class SetupError(StackError):
    """Raised when InfluxDB refuses a step, or is not the one that was expected."""


class RequestRefused(SetupError):
    """Raised when what was asked for cannot be done; nothing was changed."""


class BackupDamaged(SetupError):
    """Raised when a backup is not whole; nothing was changed."""


class Server:
    """A server, one of its organisations, and the operator's token."""

    def __init__(self, url: str, operator_token: Secret, org: str) -> None:
        if not is_sendable(operator_token):
            raise SetupError("the operator token holds a character that no token has")
        self.url = url
        self.org = org
        self.operator_token = operator_token
        self.client = InfluxDBClient(
            url=url, token=operator_token.value, org=org, timeout=_TIMEOUT_MS
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what goes wrong inside into a SetupError of one line."""
        try:
            yield
        except ApiException as error:
            raise SetupError(f"{self.url}: {error.status}: {error.message}") from error
        except urllib3.exceptions.HTTPError as error:
            raise SetupError(f"{self.url}: {error}") from error
        except (FluxQueryException, StoreError) as error:
            raise SetupError(str(error)) from error

    def version(self) -> str:
        """Return the server's version; StoreError where it is not supported or does not answer."""
        return self._version(_TIMEOUT_MS / 1000)

    def wait(self, seconds: float) -> None:
        """Wait until the server answers; SetupError at the deadline."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                with self.errors():
                    self._version(_ASK_SECONDS)
                return
            except SetupError as error:
                away = isinstance(error.__cause__, StoreUnavailable)
                if not away or time.monotonic() >= deadline:
                    raise
            time.sleep(_POLL_SECONDS)

    def session(self, bucket: str, token: Secret, seconds: float | None = None) -> InfluxSession:
        """Return a session with a bucket, as a service has it."""
        place = Place(self.url, self.org, bucket)
        return InfluxSession(place, token, seconds or _TIMEOUT_MS / 1000)

    def organisation(self) -> Any | None:
        """Return the organisation, or None."""
        api = self.client.organizations_api()
        return _first(lambda: api.find_organizations(org=self.org))

    def organisation_id(self) -> str:
        """Return the id of the organisation, which is there."""
        return str(self.existing(self.organisation()).id)

    def bucket(self, name: str) -> Any | None:
        """Return a bucket of the organisation: another one may have one of the same name."""
        api = self.client.buckets_api()
        return _first(lambda: api.find_buckets(org=self.org, name=name).buckets)

    def existing(self, found: Any | None) -> Any:
        """Return what was found; SetupError where it was not."""
        if found is None:
            raise SetupError(f"{self.url}: what was just made is gone: is another set-up running?")
        return found

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    def _version(self, seconds: float) -> str:
        session = self.session("", self.operator_token, seconds)
        try:
            return session.version()
        finally:
            session.close()


def is_sendable(token: Secret) -> bool:
    """Whether a token can stand in an HTTP header."""
    return re.match(SENDABLE, token.value) is not None


def _first(find: Callable[[], list[Any]]) -> Any | None:
    """Return the first that is found; InfluxDB answers 404 where nothing has the name."""
    try:
        found = find()
    except ApiException as error:
        if error.status != NOT_FOUND:
            raise
        return None
    return found[0] if found else None
