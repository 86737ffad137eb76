"""One HTTP session with InfluxDB, on influxdb-client's: checked writes and InfluxQL queries."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
import urllib3.exceptions
from influxdb_client import InfluxDBClient
from influxdb_client.rest import ApiException

from telemetry.settings import Secret, SettingError
from telemetry.store import StoreError, StoreMisconfigured, StoreUnavailable
from telemetry.store.influxdb.failures import STORED, Verdict, store_error, verdict

SUPPORTED = "InfluxDB 2.7 to 2.9 is supported"
_CHUNK_POINTS = 10_000
_UNAUTHORIZED = 401
_MSGPACK = "application/x-msgpack"


class Place(msgspec.Struct, frozen=True):
    """Where the readings are: the server's URL, its organisation, and the bucket."""

    url: str
    org: str
    bucket: str


class InfluxSession:
    """Asks and answers in bytes and rows; threads may share it. Every call raises StoreError."""

    def __init__(self, place: Place, token: Secret, timeout_seconds: float) -> None:
        self.place = place
        self._token = token
        self._timeout_ms = int(timeout_seconds * 1000)
        self._lock = threading.Lock()
        self._client = self._new_client()

    def write(self, lines: Sequence[bytes]) -> Verdict:
        """Write lines whose times are in milliseconds."""
        parameters = [("org", self.place.org), ("bucket", self.place.bucket), ("precision", "ms")]
        try:
            self._call("/api/v2/write", "POST", parameters, body=b"\n".join(lines))
        except ApiException as error:
            return verdict(error.status, str(error.message), error.headers or {})
        return STORED

    def query(
        self, statement: str, bound: Mapping[str, object], *, bucket: str | None = None
    ) -> list[dict[str, Any]]:
        """Return the series of a statement, as `{"name", "tags", "columns", "values"}`."""
        try:
            # MessagePack tells 21.0 from 21 and -0.0 from 0, which InfluxDB's JSON does not.
            asked = self._asked(statement, bound, bucket)
            answer = self._call("/query", "GET", asked, accept=_MSGPACK, preload=False)
        except ApiException as error:
            raise _answered(error) from error
        return _series(msgspec.msgpack.decode(_body(answer)))

    def stream(self, statement: str, bound: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        """Yield the series of a statement in chunks, so that memory stays bounded."""
        asked = [
            *self._asked(statement, bound, None),
            ("chunked", "true"),
            ("chunk_size", str(_CHUNK_POINTS)),
        ]
        try:
            answer = self._call("/query", "GET", asked, preload=False)
            try:
                for line in _lines(answer):
                    yield from _series(msgspec.json.decode(line))
            finally:
                # Whoever stops early leaves bytes unread: that connection serves no other question.
                answer.close()
        except ApiException as error:
            raise _answered(error) from error
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"{self.place.url}: {error}") from error

    def version(self) -> str:
        """Return the server's version, as 2.9.1; StoreMisconfigured where it is not supported."""
        try:
            answer = self._call("/ping", "GET", [], preload=False)
            _body(answer)
        except ApiException as error:
            raise _answered(error) from error
        version = str(answer.headers.get("X-Influxdb-Version", "")).removeprefix("v")
        if not version.startswith("2."):
            found = f"version {version}" if version else "not InfluxDB"
            raise StoreMisconfigured(f"{self.place.url} is {found}: {SUPPORTED}")
        return version

    def check_write_access(self) -> None:
        """Raise StoreError, naming organisation, bucket or token, unless a write would be taken."""
        try:
            parameters = [("org", self.place.org), ("bucket", self.place.bucket)]
            self._call("/api/v2/write", "POST", parameters, body=b"")
        except ApiException as error:
            raise _answered(error) from error

    def check_read_access(self) -> None:
        """Raise StoreError, naming organisation, bucket or token, unless a query would be."""
        try:
            parameters = [("org", self.place.org), ("name", self.place.bucket)]
            answer = self._call("/api/v2/buckets", "GET", parameters, preload=False)
            found = msgspec.json.decode(_body(answer))
        except ApiException as error:
            raise _answered(error) from error
        if not found["buckets"]:
            raise StoreMisconfigured(f"the token may not read the bucket {self.place.bucket!r}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _asked(
        self, statement: str, bound: Mapping[str, object], bucket: str | None
    ) -> list[tuple[str, str]]:
        return [
            ("db", bucket or self.place.bucket),
            ("epoch", "ms"),
            ("q", statement),
            ("params", msgspec.json.encode(bound).decode()),
        ]

    def _call(
        self,
        path: str,
        method: str,
        parameters: list[tuple[str, str]],
        *,
        body: bytes | None = None,
        accept: str = "application/json",
        preload: bool = True,
    ) -> Any:
        """Ask once; after 401 once more, if the token's file holds another one by now."""

        def ask() -> Any:
            return self._client.api_client.call_api(
                path,
                method,
                {},
                parameters,
                {"Content-Type": "text/plain; charset=utf-8", "Accept": accept},
                body=body,
                auth_settings=[],
                _preload_content=preload,
                _return_http_data_only=True,
            )

        try:
            try:
                return ask()
            except ApiException as error:
                if error.status != _UNAUTHORIZED or not self._renew_token():
                    raise
            return ask()
        except urllib3.exceptions.HTTPError as error:
            raise StoreUnavailable(f"{self.place.url}: {error}") from error

    def _renew_token(self) -> bool:
        with self._lock:
            try:
                renewed = self._token.reread()
            except SettingError as error:
                raise StoreMisconfigured(str(error)) from error
            if renewed.value == self._token.value:
                return False
            self._token = renewed
            self._client = self._new_client()
            return True

    def _new_client(self) -> InfluxDBClient:
        return InfluxDBClient(
            url=self.place.url,
            token=self._token.value,
            org=self.place.org,
            timeout=self._timeout_ms,
            retries=False,
        )


def _answered(error: ApiException) -> StoreError:
    return store_error(error.status, str(error.message), error.headers or {})


def _body(answer: Any) -> bytes:
    try:
        data: bytes = answer.data
        return data
    finally:
        answer.release_conn()


def _series(answer: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for result in answer.get("results", []):
        if "error" in result:
            problem = str(result["error"])
            kind = StoreMisconfigured if problem.startswith("database not found") else StoreError
            raise kind(f"InfluxDB refuses the query: {problem}")
        found.extend(result.get("series", []))
    return found


def _lines(answer: Any) -> Iterator[bytes]:
    """Cut a chunked answer, one JSON object a line, at its newlines."""
    rest = b""
    for part in answer.stream(1 << 16):
        *lines, rest = (rest + part).split(b"\n")
        yield from (line for line in lines if line)
    if rest.strip():
        yield rest
