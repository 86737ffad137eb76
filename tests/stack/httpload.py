"""Steady HTTP load on the front door, which counts every request that was not answered well."""

import http.client
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from msgspec import Struct

_CONNECTIONS = 32
_TIMEOUT_SECONDS = 10.0


class Target(Struct, frozen=True):
    """Where to ask, and with which key; `ca_file` is whom to believe."""

    host: str
    port: int
    path: str
    key: str
    ca_file: str


class LoadReport(Struct):
    """What came of the load; `failures` holds a word for each request that failed."""

    requests: int = 0
    seconds: float = 0.0
    failures: list[str] = []

    @property
    def per_second(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds if self.seconds else 0.0


@contextmanager
def http_load(target: Target, per_second: int) -> Iterator[LoadReport]:
    """Ask so often meanwhile, over kept-alive connections; the report is filled at the end."""
    report, failures = LoadReport(), SimpleQueue[str]()
    stop = threading.Event()
    counts = [0] * _CONNECTIONS
    threads = [
        threading.Thread(
            target=_ask, args=(target, per_second / _CONNECTIONS, stop, counts, number, failures)
        )
        for number in range(_CONNECTIONS)
    ]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    try:
        yield report
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        report.requests, report.seconds = sum(counts), time.monotonic() - began_s
        report.failures = list(_drain(failures))


def _ask(
    target: Target,
    per_second: float,
    stop: threading.Event,
    counts: list[int],
    number: int,
    failures: SimpleQueue[str],
) -> None:
    context = ssl.create_default_context(cafile=target.ca_file)
    connection: http.client.HTTPSConnection | None = None
    due_s = time.monotonic()
    while not stop.wait(max(0.0, due_s - time.monotonic())):
        due_s += 1 / per_second
        if connection is None:
            connection = http.client.HTTPSConnection(
                target.host, target.port, timeout=_TIMEOUT_SECONDS, context=context
            )
        counts[number] += 1
        try:
            connection.request(
                "GET", target.path, headers={"Authorization": f"Bearer {target.key}"}
            )
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != http.client.OK:
                failures.put(f"{answer.status}: {body[:200]!r}")
            if answer.will_close:
                connection = None
        except (OSError, http.client.HTTPException) as error:
            failures.put(repr(error))
            if connection is not None:
                connection.close()
            connection = None


def _drain(queue: SimpleQueue[str]) -> Iterator[str]:
    while True:
        try:
            yield queue.get_nowait()
        except Empty:
            return
