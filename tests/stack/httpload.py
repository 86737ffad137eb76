"""Steady HTTP load on the front door, which counts every request that was not answered well.

It does as a client should that the API tells to come again (503 or 504 as a problem, Retry-After):
where the machine is too busy for the store to answer in time, that is no fault of an update.
"""

import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec import Struct

_CONNECTIONS = 32
_TIMEOUT_SECONDS = 30.0
_TIMES_TOLD = 5
_COME_AGAIN = (http.client.SERVICE_UNAVAILABLE, http.client.GATEWAY_TIMEOUT)


class Target(Struct, frozen=True):
    """Where to ask, and with which key; `ca_file` is whom to believe."""

    host: str
    port: int
    path: str
    key: str
    ca_file: str


class LoadReport(Struct):
    """What came of the load; `failures` holds a word for each request that failed.

    `told_again` says how often the API, whose store was late, asked for patience.
    """

    requests: int = 0
    told_again: int = 0
    seconds: float = 0.0
    failures: list[str] = []

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0


@contextmanager
def http_load(target: Target, per_second: int) -> Iterator[LoadReport]:
    """Ask so often meanwhile, over kept-alive connections; the report is filled at the end."""
    report, stop = LoadReport(), threading.Event()
    askers = [_Asker(target, per_second / _CONNECTIONS, stop) for _ in range(_CONNECTIONS)]
    began_s = time.monotonic()
    for asker in askers:
        asker.start()
    try:
        yield report
    finally:
        stop.set()
        for asker in askers:
            asker.join()
        report.seconds = time.monotonic() - began_s
        report.requests = sum(asker.requests for asker in askers)
        report.told_again = sum(asker.told_again for asker in askers)
        report.failures = [failure for asker in askers for failure in asker.failures]


class _Asker(threading.Thread):
    """One connection, which asks when the next request is due."""

    def __init__(self, target: Target, per_second: float, stop: threading.Event) -> None:
        super().__init__()
        self.requests = 0
        self.told_again = 0
        self.failures: list[str] = []
        self._target = target
        self._headers = {"Authorization": f"Bearer {target.key}"}
        self._context = ssl.create_default_context(cafile=target.ca_file)
        self._period_seconds = 1 / per_second
        self._stop_asking = stop
        self._connection: http.client.HTTPSConnection | None = None

    def run(self) -> None:
        due_s = time.monotonic()
        while not self._stop_asking.wait(max(0.0, due_s - time.monotonic())):
            due_s += self._period_seconds
            self.requests += 1
            try:
                self._ask(_TIMES_TOLD)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                self._drop()
        self._drop()

    def _ask(self, times_left: int) -> None:
        if self._connection is None:
            self._connection = http.client.HTTPSConnection(
                self._target.host,
                self._target.port,
                timeout=_TIMEOUT_SECONDS,
                context=self._context,
            )
        self._connection.request("GET", self._target.path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self._drop()
        after = answer.headers["Retry-After"]
        if answer.status in _COME_AGAIN and after and times_left:
            self.told_again += 1
            time.sleep(float(after))
            self._ask(times_left - 1)
        elif answer.status != http.client.OK:
            self.failures.append(f"{answer.status}: {body[:200]!r}")

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
