"""The services of a stack: what each is told, and how it says that it is ready."""

import http.client
import sys
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from stack.process import Process

# As long as a machine that is busy may keep a service from answering; readiness is asked again.
_HTTP_SECONDS = 10.0
_READY_SECONDS = 2.0


class Place(Struct, frozen=True):
    """Where a service runs: its name, what it is told, and where it logs and serves HTTP."""

    name: str
    environment: Mapping[str, str]
    log_path: Path
    host: str
    port: int


class Service(Process):
    """A service of ours with its HTTP port: /healthz, /readyz and /metrics."""

    def __init__(self, arguments: list[str], place: Place) -> None:
        super().__init__(
            place.name,
            [sys.executable, "-m", *arguments],
            environment=place.environment,
            log_path=place.log_path,
        )
        self.host = place.host
        self.port = place.port

    @property
    def url(self) -> str:
        """The address of the service's pages, without a slash at its end."""
        return f"http://{self.host}:{self.port}"

    def get(self, path: str, timeout_seconds: float = _HTTP_SECONDS) -> tuple[int, str]:
        """Return the status and the text of a page; OSError where the service does not answer."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout_seconds)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except http.client.HTTPException as error:
            raise ConnectionError(f"{self.url}{path}: {error!r}") from error
        finally:
            connection.close()

    def lacks(self) -> str | None:
        """Return None when /readyz says 200, else what it or the connection says."""
        try:
            status, text = self.get("/readyz", _READY_SECONDS)
        except OSError as error:
            return f"{self.url}/readyz: {error}"
        return None if status == http.client.OK else f"/readyz says {status}: {text.strip()}"


class Fleet(Service):
    """A sensors process; it ends by itself where it was given a duration."""

    ends_by_itself = True

    def __init__(self, arguments: list[str], place: Place, report_path: Path) -> None:
        super().__init__(arguments, place)
        self.report_path = report_path
