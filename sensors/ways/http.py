"""The way by HTTP: a batch of all devices is one POST, answered once all of it is safe.

A payload is a line of the body (`application/x-ndjson`). The answers are those of ingest:

    204                                                             all is stored
    200 {"stored": 16, "quarantined": [{"line": 2, "index": 0, "reason": "…"}]}
    429, 503 with Retry-After                                       not now: send it again
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import aiohttp
import msgspec
from msgspec import Struct
from yarl import URL

from sensors.settings import SensorsSettings
from sensors.ways.channel import ALL_STORED, NOT_NAMED, Answer, Bounds, Lost, Rejection
from sensors.ways.failures import ConnectFailed, ConnectionLost, NotNow, Refused, no_connection
from telemetry.settings import SettingError
from telemetry.tls import client_context

_PATH = "/v1/readings"
_TYPE = "application/x-ndjson"
# Half of what ingest takes as one body, unless it is told otherwise.
_BOUNDS = Bounds(
    batch_payloads=2_000, batch_bytes=500_000, batches_in_flight=4, gather_seconds=0.02
)
_ANSWER_SECONDS = 90.0  # longer than ingest itself waits for a body, and for it to be durable
_LONGEST_ANSWER_BYTES = 1_000_000
_METHOD_NOT_ALLOWED = 405  # to a question with a key that is known
_NO_ENTRY = (401, 403, 404)
_TOO_LARGE = 413
_LATER = (429, 503)


class _Quarantined(Struct):
    line: int
    reason: str
    index: int | None = None


class _Outcome(Struct):
    quarantined: list[_Quarantined] = []
    unnamed: int = 0


class _Problem(Struct):
    detail: str = ""


class _BodyTooLarge(Exception):
    """Raised when ingest takes no body as large as that."""


_OUTCOME = msgspec.json.Decoder(_Outcome)
_PROBLEM = msgspec.json.Decoder(_Problem)


def http_channel(settings: SensorsSettings) -> Callable[[], "HttpChannel"]:
    """Return what makes a process's channel; raises SettingError where the address is none."""
    assert settings.http_url is not None, "checked before (checking.py)"
    url = URL(settings.http_url)
    if url.scheme not in ("http", "https") or not url.host:
        raise SettingError(
            f"SENSORS_HTTP_URL={settings.http_url!r}: http://host:port or https:// is allowed"
        )
    return partial(HttpChannel, url / _PATH.lstrip("/"), settings)


class HttpChannel:
    """Requests to one ingest, over a few connections that stay open."""

    def __init__(self, url: URL, settings: SensorsSettings) -> None:
        self._url = url
        self._settings = settings
        self._tls = client_context(settings)
        self._session: aiohttp.ClientSession | None = None

    @property
    def bounds(self) -> Bounds:
        """How much may be sent at a time; of the Channel protocol."""
        return _BOUNDS

    async def open(self, _lost: Lost) -> None:
        """See whether ingest is there and knows the key; of the Channel protocol."""
        key = self._settings.key
        assert key is not None, "checked before (checking.py)"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_BOUNDS.batches_in_flight, ssl=True if self._tls is None else self._tls
            ),
            timeout=aiohttp.ClientTimeout(
                total=_ANSWER_SECONDS, sock_connect=self._settings.connect_timeout_seconds
            ),
            # Read again, because a key may be replaced while the fleet runs.
            headers={"Authorization": f"Bearer {key.reread().value}"},
        )
        try:
            async with self._session.get(self._url, allow_redirects=False) as answer:
                body = await _body(answer)
        except aiohttp.ClientConnectorError as error:
            raise no_connection(error.os_error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectFailed("unreachable", str(error) or repr(error)) from error
        if answer.status != _METHOD_NOT_ALLOWED:
            raise ConnectFailed("refused", _in_words(answer.status, body))

    async def send(self, payloads: Sequence[bytes]) -> Answer:
        """Send a request, or several where ingest takes less at a time; of the Channel protocol."""
        try:
            return await self._post(payloads)
        except _BodyTooLarge as error:
            if len(payloads) == 1:
                raise Refused(str(error), 0) from error
        middle = len(payloads) // 2
        first = await self.send(payloads[:middle])
        try:
            second = await self.send(payloads[middle:])
        except Refused as error:
            raise Refused(str(error), middle + error.payload) from error
        moved = [one._replace(payload=middle + one.payload) for one in second.rejected]
        return Answer([*first.rejected, *moved])

    async def close(self) -> None:
        """Close the connections; of the Channel protocol."""
        if self._session is not None:
            await self._session.close()

    def abort(self) -> None:
        """Do nothing: `close`, which follows, breaks off what is on its way."""

    async def _post(self, payloads: Sequence[bytes]) -> Answer:
        if self._session is None or self._session.closed:
            raise ConnectionLost("the connection is gone")
        try:
            async with self._session.post(
                self._url,
                data=b"\n".join(payloads),
                headers={"Content-Type": _TYPE},
                allow_redirects=False,
            ) as answer:
                return _answer(answer, await _body(answer), len(payloads))
        except aiohttp.ClientConnectorError as error:
            raise no_connection(error.os_error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ConnectionLost(str(error) or repr(error)) from error


def _answer(answer: aiohttp.ClientResponse, body: bytes, payloads: int) -> Answer:
    """Return what an answer says; raises a WayFailure where nothing is promised."""
    if answer.status == 204:
        return ALL_STORED
    if answer.status == 200:
        try:
            outcome = _OUTCOME.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConnectionLost(f"an answer that is none: {error}") from error
        return Answer(list(_rejections(outcome, payloads)))
    why = _in_words(answer.status, body)
    if answer.status == _TOO_LARGE:
        raise _BodyTooLarge(why)
    if answer.status in _LATER:
        raise NotNow(why, _after_seconds(answer.headers.get("Retry-After", "")))
    if answer.status in _NO_ENTRY:
        raise ConnectFailed("refused", why)
    raise ConnectionLost(why)


def _rejections(outcome: _Outcome, payloads: int) -> Iterator[Rejection]:
    for one in outcome.quarantined:
        yield Rejection(one.line - 1, one.index, one.reason)
    if outcome.unnamed and outcome.quarantined:
        for number in range(outcome.quarantined[-1].line - 1, payloads):
            yield Rejection(number, None, NOT_NAMED)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of an answer, as far as one of ours would go."""
    body = bytearray()
    async for piece in answer.content.iter_any():
        body += piece
        if len(body) > _LONGEST_ANSWER_BYTES:
            raise aiohttp.ClientPayloadError("an answer without an end")
    return bytes(body)


def _in_words(status: int, body: bytes) -> str:
    try:
        detail = _PROBLEM.decode(body).detail
    except (msgspec.DecodeError, UnicodeDecodeError):
        detail = ""
    return f"HTTP {status}: {detail}" if detail else f"HTTP {status}"


def _after_seconds(header: str) -> float | None:
    return float(header) if header.isascii() and header.isdigit() else None
