"""One HTTP session with InfluxDB: checked writes and InfluxQL queries.

Requests go straight to connections: those of the client's pool or, where it only writes, its own
(docs/decisions/0041). The client's `call_api` takes as long as InfluxDB does for a short question,
and hides the status of an answer.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from telemetry.settings import Secret, SettingError
from telemetry.store import StoreError, StoreMisconfigured
from telemetry.store.influxdb.connections import Connections
from telemetry.store.influxdb.exchange import Answer, Exchange, Request
from telemetry.store.influxdb.failures import Verdict, is_transient, store_error, verdict

SUPPORTED = "InfluxDB 2.7 to 2.9 is supported"
_CHUNK_POINTS = 10_000
# How InfluxQL says that a bucket is not there, or that the token may not read it.
_NO_BUCKET = ("database not found", "default retention policy not set")
_NOT_EXECUTED = "not executed"
_MSGPACK = "application/x-msgpack"

Parameters = Mapping[str, str]
Given = TypeVar("Given")


class Place(Struct, frozen=True):
    """Where the readings are: the server's URL, its organisation, and the bucket."""

    url: str
    org: str
    bucket: str


class Rows(Struct, frozen=True, kw_only=True):
    """A part of an answer: rows of one measurement and one set of tags, where they are of one."""

    name: str = ""
    columns: list[str]
    values: list[list[Any]]
    tags: dict[str, str] = {}


class FloatRows(Rows, frozen=True, kw_only=True):
    """Rows whose numbers are all floats, the time and what was counted as well."""

    values: list[list[float | bool | str | None]]


AnyRows = TypeVar("AnyRows", bound=Rows)


class _Result(Struct, Generic[AnyRows], frozen=True):
    series: list[AnyRows] = []
    error: str | None = None


class _Results(Struct, Generic[AnyRows], frozen=True):
    results: list[_Result[AnyRows]] = []
    error: str | None = None


class _Buckets(Struct, frozen=True):
    buckets: list[Any]


_unpack = msgspec.msgpack.Decoder(_Results[Rows]).decode
_unpack_floats = msgspec.msgpack.Decoder(_Results[FloatRows]).decode
_parse = msgspec.json.Decoder(_Results[Rows]).decode
_parse_buckets = msgspec.json.Decoder(_Buckets).decode


class _NotExecutedError(StoreError):
    """Raised when a statement was not executed, or one before it failed."""


class InfluxSession:
    """Asks and answers in bytes and rows; threads may share it. Every call raises StoreError.

    One that is `write_only` is for a service that starts fast and holds little.
    """

    def __init__(
        self, place: Place, token: Secret, timeout_seconds: float, *, write_only: bool = False
    ) -> None:
        self.place = place
        self._token = token
        self._lock = threading.Lock()
        open_exchange = Connections if write_only else _client_pool
        self._exchange: Exchange = open_exchange(place.url, timeout_seconds)
        self._path = urlsplit(place.url).path.rstrip("/")

    def write(self, lines: bytes) -> Verdict:
        """Write lines whose times are in milliseconds."""
        return self._trusted(lambda: self._write(lines))

    def query(
        self, statement: str, bound: Mapping[str, object], *, bucket: str | None = None
    ) -> list[Rows]:
        """Return the rows of one or several statements."""
        return self._query(_unpack, self._question(statement, bound, bucket))

    def query_floats(
        self, statement: str, bound: Mapping[str, object], *, bucket: str | None = None
    ) -> list[FloatRows]:
        """Return the rows of aggregates, which are made to floats as they are decoded."""
        return self._query(_unpack_floats, self._question(statement, bound, bucket))

    def stream(self, statement: str, bound: Mapping[str, object]) -> Iterator[Rows]:
        """Yield the series of a statement in chunks, so that memory stays bounded."""
        asked = self._question(statement, bound, None)
        asked |= {"chunked": "true", "chunk_size": str(_CHUNK_POINTS)}
        answer = self._trusted(lambda: self._answered("/query", asked, in_pieces=True))
        assert answer.pieces is not None
        with closing(answer.pieces) as pieces:
            for line in _lines(pieces):
                yield from self._rows(_parse, line)

    def version(self) -> str:
        """Return the server's version, as 2.9.1; StoreMisconfigured where it is not supported."""
        answer = self._send("GET", "/ping", {})
        version = answer.headers.get("X-Influxdb-Version", "").removeprefix("v")
        if not version and is_transient(answer.status):
            raise self._refused(answer)
        if not version.startswith("2."):
            found = f"version {version}" if version else f"not InfluxDB ({answer.status} to /ping)"
            raise StoreMisconfigured(f"{self.place.url} is {found}: {SUPPORTED}")
        return version

    def check_write_access(self) -> None:
        """Raise StoreError, naming organisation, bucket or token, unless a write would be taken."""
        self.write(b"")

    def check_read_access(self) -> None:
        """Raise StoreError, naming organisation, bucket or token, unless a query would be."""
        self._trusted(self._read_nothing)

    def close(self) -> None:
        """Close the connections."""
        self._exchange.close()

    def _write(self, lines: bytes) -> Verdict:
        place = {"org": self.place.org, "bucket": self.place.bucket, "precision": "ms"}
        answer = self._send("POST", "/api/v2/write", place, body=lines)
        try:
            return verdict(answer.status, answer.data, answer.headers)
        except StoreMisconfigured as error:
            raise StoreMisconfigured(f"{self.place.url}: {error}") from error

    def _read_nothing(self) -> None:
        # A question alone would not tell a bucket that is not there from one that is hidden, and
        # asks for no organisation.
        place = {"org": self.place.org, "name": self.place.bucket}
        found = self._decoded(_parse_buckets, self._answered("/api/v2/buckets", place).data)
        if not found.buckets:
            raise StoreMisconfigured(f"the token may not read the bucket {self.place.bucket!r}")
        asked = self._question("SELECT * FROM /.*/ WHERE time < 0 LIMIT 1", {}, None)
        self._query(_unpack, asked)

    def _query(
        self, decode: Callable[[bytes], _Results[AnyRows]], asked: dict[str, str]
    ) -> list[AnyRows]:
        return self._trusted(lambda: self._rows_of(decode, asked))

    def _rows_of(
        self, decode: Callable[[bytes], _Results[AnyRows]], asked: dict[str, str]
    ) -> list[AnyRows]:
        # MessagePack tells 21.0 from 21 and -0.0 from 0, which InfluxDB's JSON does not.
        data = self._answered("/query", asked, accept=_MSGPACK).data
        try:
            return self._rows(decode, data)
        except _NotExecutedError:
            # Of several statements InfluxDB does not tell why the first one failed; of one it does.
            first, several, _others = asked["q"].partition(";")
            if several:
                self._rows_of(decode, asked | {"q": first})
            raise

    def _question(
        self, statement: str, bound: Mapping[str, object], bucket: str | None
    ) -> dict[str, str]:
        return {
            "db": bucket or self.place.bucket,
            "epoch": "ms",
            "q": statement,
            "params": msgspec.json.encode(bound).decode(),
        }

    def _answered(
        self,
        path: str,
        parameters: Parameters,
        *,
        accept: str = "application/json",
        in_pieces: bool = False,
    ) -> Answer:
        """Ask; return an answer that is none of an error."""
        answer = self._send("GET", path, parameters, accept=accept, in_pieces=in_pieces)
        if answer.status != 200:
            raise self._refused(answer)
        return answer

    def _send(
        self,
        method: str,
        path: str,
        parameters: Parameters,
        *,
        body: bytes | None = None,
        accept: str = "application/json",
        in_pieces: bool = False,
    ) -> Answer:
        """Ask once; return the answer, whatever its status is."""
        headers = {"Authorization": f"Token {self._token.value}", "Accept": accept}
        if body is not None:
            headers["Content-Type"] = "text/plain; charset=utf-8"
        target = f"{self._path}{path}?{urlencode(parameters)}"
        return self._exchange.send(Request(method, target, headers, body, in_pieces))

    def _refused(self, answer: Answer) -> StoreError:
        error = store_error(answer.status, answer.data, answer.headers)
        if isinstance(error, StoreMisconfigured):
            return StoreMisconfigured(f"{self.place.url}: {error}")
        return error

    def _rows(self, decode: Callable[[bytes], _Results[AnyRows]], data: bytes) -> list[AnyRows]:
        found = self._decoded(decode, data)
        for problem in (found.error, *(result.error for result in found.results)):
            if problem is not None:
                raise _query_error(problem)
        return [rows for result in found.results for rows in result.series]

    def _decoded(self, decode: Callable[[bytes], Given], data: bytes) -> Given:
        try:
            return decode(data)
        except msgspec.DecodeError as error:
            text = f"{self.place.url} does not answer as InfluxDB does: {error}"
            raise StoreMisconfigured(text) from error

    def _trusted(self, attempt: Callable[[], Given]) -> Given:
        """Attempt; where it is refused, once more if the token's file holds another one by now."""
        token = self._token
        try:
            return attempt()
        except StoreMisconfigured:
            if not self._renew_token(token):
                raise
        return attempt()

    def _renew_token(self, refused: Secret) -> bool:
        with self._lock:
            if self._token is not refused:
                return True  # another thread has renewed it meanwhile
            try:
                renewed = refused.reread()
            except SettingError as error:
                raise StoreMisconfigured(str(error)) from error
            if renewed.value == refused.value:
                return False
            self._token = renewed
            return True


def _client_pool(url: str, timeout_seconds: float) -> Exchange:
    # Imported here: it takes 0.2 s and 38 MB.
    from telemetry.store.influxdb.client_pool import ClientPool

    return ClientPool(url, timeout_seconds)


def _query_error(problem: str) -> StoreError:
    kind = StoreMisconfigured if problem.startswith(_NO_BUCKET) else StoreError
    if problem == _NOT_EXECUTED:
        kind = _NotExecutedError
    return kind(f"InfluxDB refuses the query: {problem}")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut a chunked answer, one JSON object a line, at its newlines."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line)
    if rest.strip():
        yield rest
