"""Asking the API, and InfluxDB without any client, each on one connection that is kept."""

import http.client
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from stack.influxdb import Influxd
from stack.local import LocalStack
from telemetry.store.influxdb.questions import Question

ASKED = 500
_UNCOUNTED = 20
_READ_BYTES = 1 << 16


class Influxdb:
    """InfluxDB asked without any client, on one connection."""

    def __init__(self, server: Influxd, token: str) -> None:
        self._connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        self._authorization = {"Authorization": f"Token {token}"}

    def ask(self, question: Question) -> bytes:
        """Ask in InfluxQL, as the store does."""
        return get(self._connection, _path(question), self._accepting("application/x-msgpack"))

    def take_csv(self, question: Question) -> int:
        """Ask in InfluxQL for InfluxDB's own CSV, as a stream; return its size in bytes."""
        headers = self._accepting("application/csv")
        return take(self._connection, _path(question, chunked="true"), headers)

    def ask_flux(self, flux: str) -> bytes:
        """Ask in Flux, for annotated CSV."""
        headers = self._authorization | {"Content-Type": "application/vnd.flux"}
        self._connection.request("POST", "/api/v2/query?org=denyut", flux, headers)
        return _body(self._connection)

    def _accepting(self, media_type: str) -> dict[str, str]:
        return self._authorization | {"Accept": media_type}


def get(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> bytes:
    """Return the body of an answer."""
    connection.request("GET", path, headers=headers or {})
    return _body(connection)


def take(
    connection: http.client.HTTPConnection, path: str, headers: dict[str, str] | None = None
) -> int:
    """Read an answer part by part, holding none; return its size in bytes."""
    connection.request("GET", path, headers=headers or {})
    response = connection.getresponse()
    if response.status != http.client.OK:
        raise RuntimeError(f"{response.status}: {response.read()[:200]!r}")
    taken = 0
    while part := response.read(_READ_BYTES):
        taken += len(part)
    return taken


def interleaved(*questions: Callable[[], bytes], asked: int = ASKED) -> list[list[float]]:
    """Ask the questions in turn; return each one's times in ms."""
    times: list[list[float]] = [[] for _question in questions]
    for number in range(asked + _UNCOUNTED):
        for ask, found in zip(questions, times, strict=True):
            began = time.perf_counter()
            ask()
            if number >= _UNCOUNTED:
                found.append((time.perf_counter() - began) * 1000)
    return times


def percentile(times: list[float], percent: int) -> float:
    """Return a percentile of times."""
    return statistics.quantiles(times, n=100)[percent - 1]


def rfc3339(time_ms: int) -> str:
    """Return a time of whole seconds in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def operator_token(local: LocalStack) -> str:
    """Return the token that may do everything."""
    return (local.folder / "influxdb" / "operator-token").read_text()


def write_token(local: LocalStack) -> str:
    """Return the token with which ingest writes."""
    return (local.folder / "influxdb" / "tokens" / "ingest-token").read_text()


def _path(question: Question, **more: str) -> str:
    asked = {"db": "telemetry", "epoch": "ms", "q": question.statement, **more}
    return f"/query?{urlencode(asked | {'params': json.dumps(question.bound)})}"


def _body(connection: http.client.HTTPConnection) -> bytes:
    response = connection.getresponse()
    body = response.read()
    if response.status != http.client.OK:
        raise RuntimeError(f"{response.status}: {body[:200]!r}")
    return body
