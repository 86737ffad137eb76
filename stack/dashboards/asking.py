"""How Grafana asks: a query's variables and macros filled in, and put to InfluxDB.

Grafana does this itself; tests, the bench and `python -m stack.dashboards ask` do it here as its
documentation says, so that every query is tried on a real server without a Grafana.
"""

import csv
import http.client
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from stack import StackError
from stack.dashboards import BUCKET, FLUX_UID

ALL = ".*"
"""The value of a variable that lets everything pass."""

Variables = Mapping[str, str | Sequence[str]]
Value = float | str | None

_TIMEOUT_SECONDS = 30
_POINTS = 1_000  # about as many pixels as a panel is wide
_VARIABLE = re.compile(r"\$\{(\w+)(?::(\w+))?\}|\$(\w+)")
_SECOND_MS, _MINUTE_MS, _HOUR_MS = 1_000, 60_000, 3_600_000
_INTERVALS_MS = [
    *(n * _SECOND_MS for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * _MINUTE_MS for n in (1, 2, 5, 10, 15, 20, 30)),
    *(n * _HOUR_MS for n in (1, 2, 3, 6, 12, 24, 168)),
]


class QueryRefused(StackError):
    """Raised when InfluxDB answers a query with an error."""


class Frame(Struct, frozen=True):
    """What comes back as one table or series: its labels, its columns, its rows."""

    labels: dict[str, str]
    columns: list[str]
    rows: list[list[Value]]

    def column(self, name: str) -> list[Value]:
        """Return the values of a column."""
        place = self.columns.index(name)
        return [row[place] for row in self.rows]


class Span(Struct, frozen=True):
    """A range of time as it is chosen above a dashboard, and the least interval of a panel."""

    start_ms: int
    stop_ms: int
    least_interval_ms: int = _SECOND_MS
    points: int = _POINTS

    @classmethod
    def last(cls, hours: float, *, until_ms: int | None = None) -> Self:
        """Return the last so many hours."""
        stop_ms = until_ms or time.time_ns() // 1_000_000
        return cls(stop_ms - round(hours * _HOUR_MS), stop_ms)

    @property
    def interval_ms(self) -> int:
        """The interval that Grafana works out: the range in points, rounded to a usual length."""
        wanted_ms = max((self.stop_ms - self.start_ms) / self.points, self.least_interval_ms)
        return min(_INTERVALS_MS, key=lambda usual: (usual < wanted_ms * 0.8, usual))


def fill_in(query: str, span: Span, variables: Variables) -> str:
    """Return a query as InfluxDB gets it."""
    known = {
        **variables,
        "timeFilter": f"time >= {span.start_ms}ms and time <= {span.stop_ms}ms",
        "__interval": f"{span.interval_ms}ms",
    }
    for name, text in {
        "v.timeRangeStart": _rfc3339(span.start_ms),
        "v.timeRangeStop": _rfc3339(span.stop_ms),
        "v.windowPeriod": f"{span.interval_ms}ms",
    }.items():
        query = query.replace(name, text)
    return _VARIABLE.sub(lambda found: _formatted(found, known), query)


def _formatted(found: re.Match[str], known: Variables) -> str:
    value = known[found[1] or found[3]]
    if found[2] != "regex" or value == ALL:
        return value if isinstance(value, str) else ",".join(value)
    several = [re.escape(one) for one in ([value] if isinstance(value, str) else value)]
    return several[0] if len(several) == 1 else f"({'|'.join(several)})"


class Server:
    """An InfluxDB asked as Grafana's data sources ask it, on one connection."""

    def __init__(self, url: str, token: str, org: str = "denyut") -> None:
        parts = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname or "", parts.port, timeout=_TIMEOUT_SECONDS)
        self._headers = {"Authorization": f"Token {token}"}
        self._org = org

    def ask(self, target: Mapping[str, Any], span: Span, variables: Variables) -> list[Frame]:
        """Ask a target of a panel or of a rule. Raises QueryRefused."""
        query = fill_in(target["query"], span, variables)
        if target["datasource"]["uid"] == FLUX_UID:
            return list(self._ask_flux(query))
        return list(self._ask_influxql(query))

    def variable(self, query: str, uid: str, span: Span, variables: Variables) -> list[str]:
        """Return what the query of a variable offers to choose from."""
        frames = self.ask({"query": query, "datasource": {"uid": uid}}, span, variables)
        offered: list[Value] = []
        for frame in frames:
            named = [name for name in ("_value", "value", "fieldKey") if name in frame.columns]
            offered += frame.column(named[0] if named else frame.columns[0])
        return sorted({str(one) for one in offered})

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _ask_influxql(self, query: str) -> Iterator[Frame]:
        body = urlencode({"db": BUCKET, "epoch": "ms", "q": query})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        for result in msgspec.json.decode(self._posted("/query", body, kind))["results"]:
            if "error" in result:
                raise QueryRefused(f"{result['error']}: {query}")
            for series in result.get("series", []):
                yield Frame(series.get("tags", {}), series["columns"], series["values"])

    def _ask_flux(self, query: str) -> Iterator[Frame]:
        asked = {"query": query, "dialect": {"annotations": ["group", "datatype"]}}
        path = f"/api/v2/query?{urlencode({'org': self._org})}"
        kind = {"Content-Type": "application/json"}
        answer = self._posted(path, msgspec.json.encode(asked).decode(), kind)
        for block in re.split(r"\r?\n\r?\n", answer.decode().strip()):
            if block:
                yield from _tables(block)

    def _posted(self, path: str, body: str, headers: Mapping[str, str]) -> bytes:
        try:
            self._connection.request("POST", path, body, {**self._headers, **headers})
            answer = self._connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise QueryRefused(f"no answer: {error!r}") from error
        if answer.status != http.client.OK:
            raise QueryRefused(f"{answer.status} {data.decode(errors='replace')}: {body}")
        return data


def _tables(block: str) -> Iterator[Frame]:
    """Yield the tables of one header of Flux' annotated CSV."""
    lines = list(csv.reader(block.splitlines()))
    (groups, types), (header, *rows) = lines[:2], lines[2:]
    if header[1] == "error":
        raise QueryRefused(rows[0][1])
    shown = [n for n in range(3, len(header)) if groups[n] != "true"]
    labels = [n for n in range(3, len(header)) if groups[n] == "true" and header[n][0] != "_"]
    tables: dict[str, list[list[str]]] = {}
    for row in rows:
        tables.setdefault(row[2], []).append(row)
    for table in tables.values():
        yield Frame(
            {header[n]: table[0][n] for n in labels},
            [header[n] for n in shown],
            [[_value(row[n], types[n]) for n in shown] for row in table],
        )


def _value(text: str, kind: str) -> Value:
    if kind in ("double", "long", "unsignedLong"):
        return float(text) if text else None
    return text


def _rfc3339(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"
